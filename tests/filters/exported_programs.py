"""Networks exported with torch itself, and what tests do to the archives."""

import json
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from firstlight.errors import FirstlightError, SourceError
from firstlight.filters.bank import FilterBank
from firstlight.filters.formats.exported.reader import read_exported

CONFIG, GRAPH = "data/weights/model_weights_config.json", "models/model.json"


class Net(nn.Module):
    """Registers what it executes last first; `run` is its forward pass."""

    def __init__(self, run: Callable[..., torch.Tensor] | None = None, **layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(len(layers))
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run or (lambda net, x: net.features(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(self, x)


def stem(**options: Any) -> nn.Sequential:
    norm = nn.BatchNorm2d(8, eps=1e-3)
    norm.load_state_dict(
        {key: torch.rand_like(value) + 0.5 for key, value in norm.state_dict().items() if value.ndim}, strict=False
    )
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False, **options), norm, nn.ReLU(), nn.Conv2d(8, 4, 3))


def export(net: nn.Module, path: Path, shape: tuple[int, ...] = (2, 3, 16, 16), decompose: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own making, on channels_last weights and on Python 3.11
        program = torch.export.export(net.eval(), (torch.zeros(shape, dtype=next(net.parameters()).dtype),))
        torch.export.save(program.run_decompositions() if decompose else program, path)
    return path


def weight_of(net: nn.Module, name: str = "features.0.weight") -> np.ndarray:
    return net.state_dict()[name].double().numpy()


def rewritten(seed: Path, path: Path, change: dict[str, Any], method: int = zipfile.ZIP_STORED) -> Path:
    """A copy with members replaced: by bytes, by what a function makes of their JSON, or (None) left out."""
    with zipfile.ZipFile(seed) as old, zipfile.ZipFile(path, "w", method) as new:
        for name in old.namelist():
            data, changed = old.read(name), change.get(name.partition("/")[2], b"")
            if callable(changed):
                content = json.loads(data)
                result = changed(content)
                data = json.dumps(content if result is None else result).encode()
            elif changed != b"":
                data = changed
            if data is not None:
                new.writestr(name, data)
    return path


def fails(path: Path, *patterns: str, layer: str | None = None, error: type[FirstlightError] = SourceError) -> None:
    with pytest.raises(error) as caught:
        read_exported(path, "net.pt2", layer)
    assert "net.pt2" in str(caught.value)
    assert "\n" not in str(caught.value)
    for pattern in patterns:
        assert re.search(pattern, str(caught.value)), str(caught.value)


def read_or_refuse(path: Path) -> FilterBank | None:
    """What a damaged file gives: filters, or an error of one line."""
    message = ""
    try:
        return read_exported(path, "net.pt2")
    except FirstlightError as error:
        message = str(error)
    assert "\n" not in message
    return None
