"""Time and peak memory of a function, each in a process of its own so that nothing is left over from another."""

import ctypes
import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measurement:
    """Seconds: the best of the repeats. Megabytes: the most memory in use, above what was in use before.

    count: how many images that was of, where the function chose it.
    """

    seconds: float
    megabytes: float
    check: float
    count: int = 0


def measure(module: str, function: str, **arguments: object) -> Measurement:
    """Call `module.function(**arguments)` in a fresh process; it returns what `timed` returned."""
    code = f"import json, {module} as m; print(json.dumps(m.{function}(**{arguments!r})))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def timed(call: Callable[[], float], repeats: int) -> dict[str, float]:
    """Time `call`, which returns a number by which the ways can be checked against one another."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # what is free already would hide what is taken
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _memory("VmRSS")
    seconds, check = float("inf"), float("nan")
    for _ in range(repeats):
        start = time.perf_counter()
        check = call()
        seconds = min(seconds, time.perf_counter() - start)
    return asdict(Measurement(seconds, max(0.0, _memory("VmHWM") - before), check))


def _memory(field: str) -> float:
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
