"""Keras files through the process that reads them: what comes back from it, and files that the library fails on."""

import time
from pathlib import Path

import numpy as np
import pytest
from tests.filters.keras_models import KERNEL, edited, fails, kernel, truth

from firstlight.errors import FirstlightError, InputError, NonFiniteWeights
from firstlight.filters.formats.keras.model import read_in_process
from firstlight.filters.formats.keras.reader import read_keras


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_sequential(keras_models: Path, kind: str):
    bank = read_keras(keras_models / f"chain.{kind}", "net.keras")
    np.testing.assert_array_equal(bank.weight, kernel(keras_models, "chain", "stem"))
    assert (bank.layer, bank.source, bank.dtype, bank.batch_norm) == ("stem", "net.keras", "float32", "norm")
    assert (bank.stride, bank.padding, bank.dilation, bank.groups) == ((2, 2), (1, 2), (1, 1), 1)
    assert bank.scale is not None
    gamma, variance = truth(keras_models, "chain", "norm/gamma"), truth(keras_models, "chain", "norm/moving_variance")
    np.testing.assert_allclose(bank.scale, gamma / np.sqrt(variance + 1e-2), rtol=1e-14)
    assert bank.notes[0] == "the network rescales its input first: x * 0.00392157 + -0.5"
    assert "depends on the size of the input" in bank.notes[1]


def test_what_hangs_or_bloats_the_hdf5_library_ends_in_one_line(keras_models: Path, tmp_path: Path):
    """A string attribute that declares a length of 2 GB: the library alone takes seconds, and the memory."""
    data = bytearray((keras_models / "chain.weights.h5").read_bytes())
    start = 0
    while (start := data.find(b"name\0\0\0\0\x19", start + 1)) > 0:
        assert int.from_bytes(data[start + 32 : start + 36], "little") < 100
        data[start + 32 : start + 36] = (0x7F7F7F7F).to_bytes(4, "little")
    (tmp_path / "net.h5").write_bytes(data)
    begun = time.perf_counter()
    fails(tmp_path / "net.h5", read=read_keras)
    assert time.perf_counter() - begun < 10


def test_errors_and_notes_come_back_from_the_process_that_reads(keras_models: Path, tmp_path: Path):
    fails(keras_models / "chain.keras", "'nothing'", layer="nothing", error=InputError, read=read_keras)
    fails(keras_models / "chain.keras", "norm", "is no convolution", layer="norm", error=InputError, read=read_keras)
    broken = edited(
        keras_models, tmp_path / "net.h5", lambda group, name: group.create_dataset(name, data=KERNEL * np.nan)
    )
    fails(broken, "NaN", error=NonFiniteWeights, read=read_keras)
    here, there = (read(keras_models / "branches.keras", "net.keras") for read in (read_in_process, read_keras))
    np.testing.assert_array_equal(here.weight, there.weight)
    assert not there.weight.flags.writeable
    assert [vars(here)[key] for key in vars(here) if key != "weight"] == [
        vars(there)[key] for key in vars(there) if key != "weight"
    ]


def test_damaged_anywhere(keras_models: Path, tmp_path: Path):
    """A few in full; the HDF5 library was shown thousands, of which one in thousand made it hang."""
    chance, path = np.random.default_rng(0), tmp_path / "net.keras"
    for name in ("chain.keras", "nested.h5"):
        data = (keras_models / name).read_bytes()
        for length in (1, 100, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:length])
            fails(path, read=read_keras)
        damaged = bytearray(data)
        for place in chance.integers(0, len(data), 200):
            damaged[place] ^= 1 << int(chance.integers(8))
        path.write_bytes(damaged)
        fails(path, error=FirstlightError, read=read_keras)
