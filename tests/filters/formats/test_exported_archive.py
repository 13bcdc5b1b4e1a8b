"""Members of exported archives: tensors of every memory order and type, and metadata that does not fit its bytes."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.filters.exported_programs import CONFIG, GRAPH, Net, export, fails, rewritten, stem, weight_of
from torch import nn

from firstlight.errors import FirstlightError
from firstlight.filters.formats.exported.reader import read_exported


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_float_is_upcast_exactly(tmp_path: Path, dtype: torch.dtype):
    net = Net(features=stem()).to(dtype)
    bank = read_exported(export(net, tmp_path / "net.pt2"), "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert bank.dtype == str(dtype).removeprefix("torch.")


def test_weights_in_other_memory_orders_and_in_shared_storages(tmp_path: Path):
    net = Net(features=stem(padding="same")).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    bank = read_exported(export(net, tmp_path / "net.pt2"), "net.pt2")
    np.testing.assert_array_equal(bank.weight, weight_of(net))
    assert bank.padding == (1, 1)

    flat = torch.randn(7 + 8 * 27 + 5)
    net = Net(features=stem(padding="valid"))
    first = net.get_submodule("features.0")
    assert isinstance(first, nn.Conv2d)
    first.weight = nn.Parameter(flat[7 : 7 + 8 * 27].view(8, 3, 3, 3))
    net.register_buffer("flat", flat)
    bank = read_exported(export(net, tmp_path / "shared.pt2"), "shared.pt2")
    np.testing.assert_array_equal(bank.weight, flat[7 : 7 + 8 * 27].view(8, 3, 3, 3).double().numpy())
    assert bank.padding == (0, 0)


def test_older_compiled_and_pickled_archives_are_refused(exported: Path, tmp_path: Path):
    def archive(**members: bytes) -> Path:
        with zipfile.ZipFile(tmp_path / "net.pt2", "w") as file:
            for name, data in members.items():
                file.writestr(name, data)
        return tmp_path / "net.pt2"

    # The layouts of torch 2.7 and 2.8, and of AOTInductor, as their writers name the members.
    fails(archive(**{"version": b"8.1", "serialized_exported_program.json": b"{}"}), "again with a newer torch")
    fails(archive(**{"a/archive_format": b"pt2", "a/data/aotinductor/model/m.so": b"\x7fELF"}), "compiled code")
    legacy = {"a/archive_format": b"pt2", "a/models/model.json": b"{}", "a/data/weights/model.pt": b"PK"}
    fails(archive(**legacy), "pickled", "again with a newer torch")
    fails(archive(**{"a/archive_format": b"pt2", "a/models/x.json": b"{}", "a/models/y.json": b"{}"}), "programs x, y")

    def pickled(config: dict[str, Any]) -> None:
        config["config"]["features.0.weight"]["use_pickle"] = True

    fails(rewritten(exported, tmp_path / "net.pt2", {CONFIG: pickled}), "pickle", "safetensors")
    fails(rewritten(exported, tmp_path / "net.pt2", {"byteorder": b"big"}), "big-endian")


META: list[tuple[str, Any, str]] = [
    ("dtype", 10, "complex64"),
    ("dtype", 99, "99"),
    ("dtype", [1], ""),
    ("layout", 1, "sparse"),
    ("sizes", [{"as_int": 1 << 20}] * 4, "numbers"),
    ("sizes", [{"as_int": -8}, {"as_int": 3}, {"as_int": 3}, {"as_int": 3}], "; expected a size"),
    ("sizes", [{"as_expr": {"expr_str": "__import__('os')"}}] * 4, ""),
    ("sizes", [{"as_int": 0}, {"as_int": 3}, {"as_int": 3}, {"as_int": 3}], "not empty"),
    ("sizes", [{"as_int": True}] * 4, "; expected a size"),
    ("sizes", [], ""),
    ("strides", [{"as_int": 1 << 40}] * 4, "one piece"),
    ("strides", [{"as_int": 1}], ""),
    ("strides", [{"as_int": -1}] * 4, "; expected a size"),
    ("storage_offset", {"as_int": 1 << 45}, "one piece"),
    ("storage_offset", {"as_int": 1}, "cut off"),
    ("storage_offset", None, ""),
]


@pytest.mark.parametrize(("key", "value", "pattern"), META)
def test_metadata_is_checked_against_the_bytes(exported: Path, tmp_path: Path, key: str, value: Any, pattern: str):
    def change(config: dict[str, Any]) -> None:
        config["config"]["features.0.weight"]["tensor_meta"][key] = value

    fails(rewritten(exported, tmp_path / "net.pt2", {CONFIG: change}), pattern, error=FirstlightError)


def test_names_lead_nowhere_but_into_the_archive(exported: Path, tmp_path: Path):
    (tmp_path / "secret").write_bytes(bytes(8 * 27 * 4))
    for name in ("../../../secret", str(tmp_path / "secret"), "", "weight_0\0", ["weight_0"]):

        def change(config: dict[str, Any], name: Any = name) -> None:
            config["config"]["features.0.weight"]["path_name"] = name

        fails(rewritten(exported, tmp_path / "net.pt2", {CONFIG: change}), "no member|damaged")
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("../../archive_format", b"pt2")
        archive.writestr("../../models/model.json", b"{}")
    fails(tmp_path / "net.pt2")
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "net.pt2"}


def test_zip_bombs_and_odd_members(exported: Path, tmp_path: Path):
    path = tmp_path / "net.pt2"
    bomb = rewritten(exported, path, {GRAPH: bytes(1 << 28)}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 20
    fails(bomb, "268,435,456 bytes")
    # An honest recompression is read.
    bank = read_exported(rewritten(exported, path, {}, zipfile.ZIP_DEFLATED), "net.pt2")
    np.testing.assert_array_equal(bank.weight, read_exported(exported, "").weight)
    fails(rewritten(exported, path, {}, zipfile.ZIP_LZMA), "method 14")
    fails(rewritten(exported, path, {"data/weights/weight_0": b"short"}), "5 bytes", "cut off")
    fails(rewritten(exported, path, {GRAPH: None}), "compiled code")
    fails(rewritten(exported, path, {CONFIG: None}), "does not hold")
