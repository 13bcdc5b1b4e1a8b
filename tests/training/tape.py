"""A stand-in for a CUDA graph on the CPU: what torch does once is recorded, and done again on the same memory.

As in a graph, all that Python decided meanwhile stays as it was: a number, which memory, which operations.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from firstlight.training.cuda_graph import WARM_UP, _unchanged
from firstlight.training.random_numbers import default_generators
from firstlight.training.update import Repeated

# What a capture on a GPU refuses: the host would wait for the device, or read the host's memory.
NAMES = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "_unique", "bincount")
REFUSED = tuple(f"aten::{name}" for name in NAMES)


class Tape(TorchDispatchMode):
    """Records the operations done inside; `play` does them again."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name
        assert not name.startswith(REFUSED), f"a graph cannot hold {name}"
        results = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, tensors(results)))
        return results

    def play(self) -> None:
        for function, args, kwargs, recorded in self.operations:
            for again, before in zip(tensors(function(*args, **kwargs)), recorded, strict=True):
                if again.data_ptr() != before.data_ptr():  # neither a view nor in place
                    before.copy_(again)


def tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, Tensor)]


def repeat_from_tape(descend: Callable[[], Tensor], changed: Callable[[], list[Tensor]]) -> Repeated:
    """As `repeat_as_graph`."""
    with _unchanged(changed):
        for _ in range(WARM_UP):
            descend()
    before = [tensor.clone() for tensor in changed()]
    with Tape() as tape:
        result = descend()
    # A capture does nothing yet.
    for tensor, kept in zip(changed(), before, strict=True):
        tensor.copy_(kept)

    def replay() -> Tensor:
        with torch.no_grad():
            tape.play()
        return result.clone()

    return Repeated(replay, default_generators(torch.device("cpu")))
