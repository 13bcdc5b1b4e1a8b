"""HDF5 files and .keras archives that lead elsewhere, or do not hold what they declare."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tests.filters.keras_models import KERNEL, archive, edited, fails, kernel

from firstlight.errors import NonFiniteWeights
from firstlight.filters.formats.keras.model import read_in_process


def test_nothing_outside_the_file_is_read(keras_models: Path, tmp_path: Path):
    path = tmp_path / "net.h5"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["kernel"] = KERNEL
    (tmp_path / "raw").write_bytes(KERNEL.tobytes())

    def link(target: Any) -> Callable[[h5py.Group, str], None]:
        return lambda group, name: group.__setitem__(name, target)

    def virtual(group: h5py.Group, name: str) -> None:
        layout = h5py.VirtualLayout(KERNEL.shape, KERNEL.dtype)
        layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kernel", KERNEL.shape)
        group.create_virtual_dataset(name, layout)

    def external(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, KERNEL.shape, KERNEL.dtype, external=[(str(tmp_path / "raw"), 0, KERNEL.nbytes)])

    fails(
        edited(keras_models, path, link(h5py.ExternalLink(str(tmp_path / "other.h5"), "/kernel"))),
        "ExternalLink",
        "not followed",
    )
    fails(edited(keras_models, path, link(h5py.SoftLink("/model_weights/second/chain/second/kernel"))), "SoftLink")
    fails(edited(keras_models, path, virtual), "another file")
    fails(edited(keras_models, path, external), "another file")


def test_datasets_that_are_not_the_weights_they_declare(keras_models: Path, tmp_path: Path):
    path = tmp_path / "net.h5"

    def dataset(shape: tuple[int, ...], dtype: str = "f4", **options: Any) -> Path:
        return edited(keras_models, path, lambda group, name: group.create_dataset(name, shape, dtype, **options))

    fails(dataset((1 << 15, 1 << 15, 3, 64), chunks=(1, 1, 3, 64), compression="gzip"), "16,777,216")
    fails(dataset((3, 3, 3, 4), chunks=(3, 3, 3, 4)), "0 bytes", "cut off")
    fails(dataset((3, 3, 3, 4), data=KERNEL, chunks=(3, 3, 3, 4), scaleoffset=2), "HDF5 filters")
    fails(dataset((3, 3, 3, 4), "i1", data=KERNEL.astype(np.int8)), "int8", "no scale")
    fails(dataset((3, 12), data=np.ones((3, 12))), "(3, 12)")
    fails(dataset((3, 3, 3, 4), "S4"), "|S4")
    fails(dataset((3, 3, 3, 4), h5py.ref_dtype), "object")  # type: ignore[arg-type]
    fails(dataset((3, 3, 3, 4), data=KERNEL * np.nan), "NaN", error=NonFiniteWeights)
    fails(edited(keras_models, path, lambda group, name: group.create_group(name)), "shape None")
    fails(edited(keras_models, path, lambda group, name: None), "shape None")
    packed = dataset((3, 3, 3, 4), data=KERNEL, chunks=(3, 3, 3, 4), compression="gzip", shuffle=True)
    np.testing.assert_array_equal(read_in_process(packed, "").weight, KERNEL.transpose(3, 2, 0, 1))


def test_hostile_archives(keras_models: Path, tmp_path: Path):
    with zipfile.ZipFile(keras_models / "chain.keras") as real:
        config, weights = real.read("config.json"), real.read("model.weights.h5")
    path = tmp_path / "net.keras"
    deflated = zipfile.ZIP_DEFLATED
    bank = read_in_process(archive(path, config, weights, deflated), "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "chain", "stem"))
    fails(archive(path, bytes(1 << 27), weights, deflated), "134,217,728 bytes")
    fails(archive(path, b"[" * 1_000_000, weights), "nested too deeply")
    fails(archive(path, None, weights), "no member 'config.json'")
    fails(archive(path, config, None), "expected model.weights.h5")
    fails(archive(path, config, weights, zipfile.ZIP_BZIP2), "method 12")
    fails(archive(path, config, b"no HDF5"), "damaged")
    for value in (
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"3",
        b'{"config": 3}',
        b'{"config": {"layers": [{}]}}',
        b'{"config": [1]}',
    ):
        fails(archive(path, value, weights))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../config.json", config)
        file.writestr("../../model.weights.h5", weights)
    fails(path, "expected model.weights.h5")
    assert [one.name for one in tmp_path.iterdir()] == ["net.keras"]
