"""The machine a training runs on: which device, with torch set so that the same spec gives the same bits."""

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import firstlight
from firstlight.errors import InputError

# Whatever else torch is told in this process, a run's float32 is float32, and its kernels are the same
# every time.
_SETTINGS: tuple[tuple[Any, str, Any], ...] = (
    (torch.backends.cudnn, "benchmark", False),
    (torch.backends.cudnn, "deterministic", True),
    (torch.backends.cudnn.conv, "fp32_precision", "ieee"),  # type: ignore[attr-defined]
    (torch.backends.cuda.matmul, "fp32_precision", "ieee"),
    (torch.backends.mkldnn.conv, "fp32_precision", "ieee"),  # type: ignore[attr-defined]
    (torch.backends.mkldnn.matmul, "fp32_precision", "ieee"),  # type: ignore[attr-defined]
    # Filling every fresh tensor with NaN finds bugs and decides nothing here; it costs memory bandwidth.
    (torch.utils.deterministic, "fill_uninitialized_memory", False),
)

# Of a GPU's memory one process looks at test images in this share: as many trainings as share a card.
_SHARE = 12


def choose_device(name: str) -> torch.device:
    """The device of a name: `"cpu"`, `"cuda"`, `"cuda:1"`, or `"auto"` for a GPU where there is one.

    Raises
    ------
    InputError
        The name is none of these, or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise InputError(f"device is {name!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if device.type == "cpu":
        return torch.device("cpu")
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise InputError(f"device is {name!r}; this machine has {torch.cuda.device_count()} CUDA devices: use 'cpu'")
    return torch.device("cuda", index)


def describe_device(device: torch.device) -> str:
    """What a training's bits depend on beside its spec and threads: device, kernels, torch's version."""
    if device.type == "cuda":
        kind = f"cuda {torch.cuda.get_device_name(device)}"
    else:
        kind = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return f"{kind}, torch {torch.__version__}"


def images_at_once(device: torch.device, image_bytes: int, usual: int) -> int:
    """How many images are looked at in one batch: on a CPU as usual, on a GPU as many as a share of its memory holds.

    All of its memory, not what is free, because batches of another size round otherwise.
    """
    if device.type == "cpu":
        return usual
    return max(usual, torch.cuda.get_device_properties(device).total_memory // _SHARE // image_bytes)


def describe_environment() -> dict[str, str]:
    """Versions and machine, for the record."""
    return {
        "firstlight": firstlight.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
    }


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Make torch's arithmetic repeatable inside, and leave its global state as it was.

    Deterministic kernels, no TF32 or bfloat16 in place of float32, and random generators of its own. The number of CPU
    threads may be changed inside.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    previous_threads = torch.get_num_threads()
    with ExitStack() as stack:
        # cuBLAS reads this when deterministic kernels are first asked for.
        stack.enter_context(_variable("CUBLAS_WORKSPACE_CONFIG", ":4096:8"))
        # torch's CPU allocator then asks for huge pages, if nothing was allocated yet: up to a quarter
        # faster.
        stack.enter_context(_variable("THP_MEM_ALLOC_ENABLE", "1"))
        stack.enter_context(torch.random.fork_rng([device.index] if device.type == "cuda" else []))
        for owner, name, value in _SETTINGS:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        stack.callback(torch.use_deterministic_algorithms, deterministic, warn_only=warn_only)
        torch.use_deterministic_algorithms(True)
        stack.callback(torch.set_num_threads, previous_threads)
        yield


def use_threads(count: int) -> None:
    """Let torch use so many CPU threads."""
    if torch.get_num_threads() != count:  # to set them takes longer than to ask
        torch.set_num_threads(count)


class Lane:
    """Where one of several trainings on a device has its work queued: on a GPU a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    @contextmanager
    def current(self) -> Iterator[None]:
        """Queue there what is done inside."""
        with torch.cuda.stream(self._stream):  # does nothing for None
            yield


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable inside, unless the user has set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
