"""All commands, one after the other, in a process whose machine or files are not as they should be.

`python -m tests.cli.matrix_child CONDITION [COMMAND ...]` in a folder of which `made_inputs` has made one like; prints,
as JSON, what became of each command.
"""

import contextlib
import io
import json
import os
import resource
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

COMMANDS = {
    "inspect": ("inspect w.npy --data m.npz", "--json x.json"),
    "inspect, page": ("inspect w.npy --data data.npz --initial v.npy", "--html x.html"),
    "inspect, table": ("inspect w.npy --data data.npz --atlas atlas.json", "--csv x.csv"),
    "compare": ("compare w.npy v.npy --data m.npz", "--html x.html"),
    "watch": ("watch w.npy --every 1s --once --data m.npz", "--csv x.csv"),
    "watch, page": ("watch w.npy --every 1s --once --data data.npz --initial v.npy", "--html x.html"),
    "initialise": ("initialise w.safetensors --data m.npz", "--out x.safetensors"),
    "moments": ("moments data.npz --kernel-size 3", "--out x.npz"),
    "moments, blocks": ("moments images --kernel-size 3 --blocks 8 --workers 1", "--out x.npz"),
    "theory": ("theory --data data.npz --kernel-size 3", "--json x.json"),
    "atlas build": ("atlas build w.npy", "--out x.json"),
    "atlas add": ("atlas add v.npy", "--atlas y.json"),
    "atlas list": ("atlas list --atlas atlas.json", "--json x.json"),
    "atlas check": ("atlas check --atlas atlas.json", "--json x.json"),
    "data list": ("data list", "--json x.json"),
    "runs list": ("runs list --out results", "--json x.json"),
    "runs show": ("runs show RUN --out results", "--json x.json"),
    "runs clean": ("runs clean --out results --dry-run", "--json x.json"),
    "clean": ("clean results", "--json x.json"),
    "reproduce": ("reproduce label-correlation --data labelled.npz", "--out x"),
    "reproduce, list": ("reproduce --list", "--json x.json"),
    "figures": ("figures results label-correlation --format svg", "--out x"),
}
INPUTS = ("w.npy", "w.safetensors", "v.npy", "m.npz", "data.npz", "labelled.npz", "images", "atlas.json", "y.json")


def made_inputs(whole: bool) -> None:
    """Write what the commands read into this folder; what `figures` reads only where the `whole` is asked for."""
    from PIL import Image
    from safetensors.numpy import save_file

    import firstlight as fl
    from firstlight import cli
    from firstlight.reproduction.shipped_record import recorded_results

    rng = np.random.default_rng(0)
    for name in ("w.npy", "v.npy"):
        np.save(name, rng.normal(size=(8, 3, 3, 3)))
    save_file({"conv1.weight": np.load("w.npy")}, "w.safetensors")
    images = rng.integers(0, 256, (520, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(520) % 2
    parts = {"train_images": images[:260], "train_labels": labels[:260]}
    np.savez("labelled.npz", **parts, test_images=images[260:], test_labels=labels[260:])
    np.savez("data.npz", images=images[:20])
    os.mkdir("images")
    for number, image in enumerate(images[:16]):
        Image.fromarray(image.transpose(1, 2, 0)).save(f"images/{number}.png")
    fl.PatchMoments(3, 3).update(images[:20]).save("m.npz", data="data")
    commands = ["atlas build w.npy v.npy --out atlas.json", "atlas build w.npy --out y.json"]
    if whole:
        commands.append("reproduce label-correlation --data labelled.npz --out results")
    for command in commands:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert cli.main([*command.split(), "--quiet"]) == 0
    run = min((recorded_results() / "runs").iterdir())
    shutil.copytree(run, f"results/runs/{run.name}")


def as_usual() -> None:
    """Nothing is wrong."""


def names_that_are_no_text() -> None:
    """Every input's name holds a byte that is no UTF-8."""
    for name in INPUTS:
        os.rename(name, renamed(name))


def renamed(name: str) -> str:
    """A name with a byte that is no UTF-8, by which Python knows it."""
    return f"\udcff{name}"


def pipes_for_inputs() -> None:
    """Every input is a named pipe that nobody writes into."""
    for name in INPUTS:
        shutil.rmtree(name) if os.path.isdir(name) else os.unlink(name)
        os.mkfifo(name)


CONDITIONS: dict[str, Callable[[], None]] = {
    "as usual": as_usual,
    "disk full": as_usual,
    "folder read-only": as_usual,  # by how this process is started, as are the two below
    "cache is no folder": as_usual,
    "no HOME, LANG=C": as_usual,
    "little memory": as_usual,
    "names that are no text": names_that_are_no_text,
    "pipes for inputs": pipes_for_inputs,
}


@contextlib.contextmanager
def limited(condition: str) -> Iterator[None]:
    """While a command runs: no file takes a byte more, or there are no more than 200 MB on top of what is used."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {"disk full": (resource.RLIMIT_FSIZE, 0), "little memory": (resource.RLIMIT_AS, used + (200 << 20))}
    kind, most = limits.get(condition, (resource.RLIMIT_CORE, 0))
    usual = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, usual)


def contents() -> dict[str, bytes]:
    """Every file below this folder."""
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}


def tried(name: str, condition: str) -> dict[str, Any]:
    """Run a command, and tell of its exit code, what it said on standard error, and what it left."""
    from firstlight import cli

    command, output = COMMANDS[name]
    words = f"{command} {output}".replace("RUN", run_name()).split()
    if condition == "names that are no text":
        words = [renamed(word) if word in (*INPUTS, words[-1]) else word for word in words]
    before = contents()
    said, started = io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            with limited(condition):
                code: Any = cli.main([*words, "--quiet"])
        except BaseException:
            code = traceback.format_exc()
    after = contents()
    out = words[-1]
    new = [path for path in after if path not in before]
    found = {
        "code": code,
        "said": said.getvalue(),
        "seconds": time.monotonic() - started,
        "changed": [path for path in before if path != out and after.get(path) != before[path]],
        "written": any(path.partition("/")[0] == out and before.get(path) != after[path] for path in after),
        "left": [path for path in new if path.partition("/")[0] != out],
    }
    for path in new:
        os.unlink(path)
    return found


def run_name() -> str:
    """The one recorded run among the results."""
    return min(path.name for path in Path("results/runs").iterdir())


def main(condition: str, *names: str) -> None:
    """Try commands under a condition."""
    with held(CONDITIONS[condition]):
        print(json.dumps({name: tried(name, condition) for name in names or COMMANDS}))


@contextlib.contextmanager
def held(begin: Callable[[], None]) -> Iterator[None]:
    """Under a condition, for four minutes at most: what waits for ever ends the process."""
    timer = threading.Timer(240, os._exit, (3,))
    timer.daemon = True
    timer.start()
    begin()
    yield
    timer.cancel()


if __name__ == "__main__":
    made_inputs(sys.argv[2:] == ["whole"]) if sys.argv[1] == "inputs" else main(*sys.argv[1:])
