"""`firstlight inspect` on checkpoints of 100 MB, against loading the whole model, and against weightwatcher.

Every figure is a whole process from start to exit, imports and all. weightwatcher is a peer that need not be installed
here: PEER_PYTHON names the interpreter that has it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.measure import table
from firstlight.patches.shipped import shipped_moments, shipped_normalisation
from firstlight.theory.null import random_banks

REPEATS = 5
# A process counts the memory of the one that started it as its own, so a small one starts those that are measured.
LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss)
sys.exit(status != 0)
"""
PEER = os.environ.get("PEER_PYTHON", sys.executable)
WHOLE = (
    "import sys, torch; state = torch.load(sys.argv[1], weights_only=True); "
    "print(torch.linalg.svdvals(state['state_dict']['conv1.weight'].flatten(1)))"
)
WEIGHTWATCHER = (
    "import sys, logging, torch, weightwatcher; logging.disable(); "
    "state = torch.load(sys.argv[1], weights_only=True)['state_dict']; "
    "weights = [w for w in state.values() if w.ndim == 4]; "
    "convs = [torch.nn.Conv2d(w.shape[1], w.shape[0], w.shape[2:], bias=False) for w in weights]; "
    "[setattr(conv.weight, 'data', w) for conv, w in zip(convs, weights)]; "
    "watcher = weightwatcher.WeightWatcher(model=torch.nn.Sequential(*convs)); "
    "print(watcher.analyze(layers=[1], min_evals=0, mp_fit=False, randomize=False))"
)


def resnet50_tensors() -> dict[str, torch.Tensor]:
    """Random tensors of the shapes of a ResNet-50's convolutions and classifier: 25.6 million numbers, 102 MB."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 2048), "fc.bias": (1000,)}
    inputs = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (width, inputs, 1, 1)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            shapes[f"{name}.conv3.weight"] = (4 * width, width, 1, 1)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, inputs, 1, 1)
            inputs = 4 * width
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_files(folder: Path) -> dict[str, Path]:
    """The same weights as a PyTorch checkpoint, as safetensors and as ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tensors = resnet50_tensors()
    files = {name: folder / f"resnet50.{name}" for name in ("pt", "safetensors", "onnx")}
    torch.save({"state_dict": tensors, "epoch": 90}, files["pt"])
    save_file(tensors, files["safetensors"])
    node = helper.make_node("Conv", ["image", "conv1.weight"], ["out"], strides=[2, 2], pads=[3, 3, 3, 3])
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in tensors.items()]
    onnx.save(helper.make_model(helper.make_graph([node], "resnet50", [image], [out], weights)), files["onnx"])
    return files


def run() -> str:
    """Time whole processes on files of 100 MB, the ways taking turns, and the null distribution."""
    with tempfile.TemporaryDirectory() as place:
        files = write_files(Path(place))
        inspect = [str(Path(sys.executable).with_name("firstlight")), "inspect"]
        ways = {
            f"`firstlight inspect`, .{kind}, {path.stat().st_size / 1e6:.0f} MB": [*inspect, str(path)]
            for kind, path in files.items()
        }
        ways["torch.load and one SVD, .pt"] = [sys.executable, "-c", WHOLE, str(files["pt"])]
        if subprocess.run([PEER, "-c", "import weightwatcher"], capture_output=True, check=False).returncode == 0:
            ways["weightwatcher on the first layer, .pt"] = [PEER, "-c", WEIGHTWATCHER, str(files["pt"])]
        timings: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
        for _ in range(REPEATS):
            for name, command in ways.items():
                timings[name].append(_process(command))
    best = {name: np.min(found, axis=0) for name, found in timings.items()}
    reference = next(iter(best.values()))[0]
    rows = [
        [name, f"{work:.2f}", f"{work / reference:.1f}", f"{seconds:.2f}", f"{megabytes:.0f}"]
        for name, (work, seconds, megabytes) in best.items()
    ]
    text = table(["whole process", "CPU s, best of 5", "ratio", "s, best of 5", "peak memory, MB"], rows)
    if "weightwatcher on the first layer, .pt" not in ways:
        text += "\nweightwatcher is not installed here: PEER_PYTHON=INTERPRETER names one that has it.\n"
    return text + "\n" + _null()


def _process(command: list[str]) -> tuple[float, float, float]:
    """Seconds of CPU time, seconds, and peak megabytes of a process, which must succeed."""
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    work, seconds, kilobytes = done.stdout.split()
    return float(work), float(seconds), int(kilobytes) / 1024


def _null() -> str:
    """Milliseconds for 1,000 random banks, fitted."""
    rows = []
    for kernel_size, filters in ((3, 64), (7, 64), (11, 96), (16, 768)):
        variance = shipped_moments(kernel_size).basis(*shipped_normalisation()).variance
        times = []
        for _ in range(REPEATS):
            start = time.process_time()
            random_banks(variance, filters)
            times.append(time.process_time() - start)
        rows.append([f"{filters} x 3 x {kernel_size} x {kernel_size}", f"{1e3 * np.min(times):.1f}"])
    return table(["null distribution of 1,000 random banks", "CPU ms, best of 5"], rows)
