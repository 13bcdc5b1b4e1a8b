"""The most memory that tensors take while something is computed, on the CPU as on CUDA."""

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.profiler import profile  # that of torch.profiler imports the whole compiler


def peak_memory(device: torch.device, call: Callable[[], object]) -> int:
    """Bytes, above what was taken before. On the CPU, tensors; those too that torch makes inside an operation."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    profiled = profile(profile_memory=True)
    with profiled:
        call()
    assert profiled.kineto_results is not None
    events: list[Any] = [event for event in profiled.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak
