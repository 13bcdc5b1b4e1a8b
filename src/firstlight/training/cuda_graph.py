"""An update as a CUDA graph: captured once, and then launched as a whole.

A small network's update is some hundred kernels of a few microseconds each, and what takes time is to launch them.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from firstlight.training.update import Repeated, repeat_eagerly
from firstlight.utils.text import first_line

logger = logging.getLogger(__name__)

# Updates before the capture, in which libraries choose their kernels and take their memory.
WARM_UP = 3


def repeat_as_graph(descend: Callable[[], Tensor], changed: Callable[[], list[Tensor]]) -> Repeated:
    """Capture an update on the current stream, which is not the default one; the tensors it changes stay as they were.

    Where there can be no graph, the update is launched kernel by kernel, to the same bits.
    """
    device = changed()[0].device
    with _unchanged(changed):
        for _ in range(WARM_UP):
            descend()
    generator = torch.Generator(device)
    graph = torch.cuda.CUDAGraph()
    try:
        # Of its own, because two graphs that share a generator read their seeds from the same place on the device.
        # In the mode "thread_local" what other threads do meanwhile is their own affair.
        with (
            _default_generator(device, generator),
            torch.cuda.graph(graph, stream=torch.cuda.current_stream(device), capture_error_mode="thread_local"),
        ):
            result = descend()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        logger.warning("the update cannot be captured as a CUDA graph, and is slower: %s", first_line(error))
        return repeat_eagerly(descend, changed)

    def replay() -> Tensor:
        graph.replay()
        return result.clone()  # the next replay writes there again

    return Repeated(replay, [generator])


@contextmanager
def _unchanged(changed: Callable[[], list[Tensor]]) -> Iterator[None]:
    """Leave tensors as they were; those that come into being meanwhile, as an optimiser's, begin with zero."""
    before = [(tensor, tensor.clone()) for tensor in changed()]
    yield
    for tensor in changed():
        tensor.zero_()
    for tensor, kept in before:
        tensor.copy_(kept)


@contextmanager
def _default_generator(device: torch.device, generator: torch.Generator) -> Iterator[None]:
    """Let what draws from a device's default generator draw from another one, which a capture then registers."""
    default = torch.cuda.default_generators[device.index]
    own = default.graphsafe_get_state()
    default.graphsafe_set_state(generator)
    try:
        yield
    finally:
        default.graphsafe_set_state(own)
