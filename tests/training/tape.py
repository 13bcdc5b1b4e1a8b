"""Stand-ins for CUDA graphs on the CPU: what torch does once is recorded, and done again on the same memory.

As in a graph, all that Python decided meanwhile stays as it was: a number, which memory, which operations.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What a capture on a GPU refuses: the host would wait for the device.
NAMES = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "_unique", "bincount")
REFUSED = tuple(f"aten::{name}" for name in NAMES)


class Tape(TorchDispatchMode):
    """Records the operations done inside; `play` does them again, and `undo` takes back what they changed."""

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = function._schema.name, kwargs or {}
        assert not name.startswith(REFUSED), f"a graph cannot hold {name}"
        # Of all that is taken: batch normalisation changes its running means without saying so.
        for tensor in tensors((args, kwargs)):
            memory = tensor.untyped_storage()
            if memory.data_ptr() not in self._before:
                self._before[memory.data_ptr()] = memory, memory.clone()
        results = function(*args, **kwargs)
        self._operations.append((function, args, kwargs, tensors(results)))
        return results

    def play(self) -> None:
        with torch.no_grad():
            for function, args, kwargs, recorded in self._operations:
                for again, before in zip(tensors(function(*args, **kwargs)), recorded, strict=True):
                    if again.data_ptr() != before.data_ptr():  # neither a view nor in place
                        before.copy_(again)

    def undo(self) -> None:
        for memory, before in self._before.values():
            memory.copy_(before)


def tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


class Graph:
    """As `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.generator = torch.default_generator

    def replay(self) -> None:
        torch.default_generator.set_state(self.generator.get_state())
        self.tape.play()


class Generators:
    """As a device's entry in `torch.cuda.default_generators`: draws from whatever generator it was told."""

    def __init__(self) -> None:
        self.own = self.current = torch.Generator()

    def graphsafe_get_state(self) -> torch.Generator:
        return self.current

    def graphsafe_set_state(self, generator: torch.Generator) -> None:
        self.current = generator


def stand_in(monkeypatch: pytest.MonkeyPatch) -> Generators:
    """Let `torch.cuda` capture on the CPU; returns the device's default generator."""
    default = Generators()

    @contextmanager
    def capture(graph: Graph, *, stream: None, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        graph.generator = default.current
        with graph.tape:
            yield
        graph.tape.undo()  # a capture does nothing yet

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "default_generators", {None: default})
    return default
