"""Images in .npz files, read in slices: the same bits as NumPy gives, in memory that does not grow with the array."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from firstlight.errors import InputError
from firstlight.images import image_stream, recognise, shards_of
from firstlight.images.npz_slices import NpzArray
from firstlight.images.shards.cut import _SLICE_BYTES
from firstlight.patches.out_of_core.accumulate import accumulate

COUNT = 300
# An array of 254 MB is summed up after a small one has brought everything into memory that there is to load.
MEASURED = """
import sys
from pathlib import Path
from firstlight.images import image_stream, shards_of
from firstlight.patches.out_of_core.accumulate import accumulate

def peak():
    status = Path("/proc/self/status").read_text()  # that of getrusage is inherited
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

small, *large = sys.argv[1:]
accumulate(shards_of(small), 3, progress=False)
list(image_stream(small, progress=False))
before = peak()
for path in large:
    assert accumulate(shards_of(path), 3, progress=False).images == 80
    assert sum(len(stack) for stack in image_stream(path, progress=False)) == 80
print(peak() - before)
"""


def images(dtype: type = np.uint8) -> np.ndarray:
    """Of numbers that a compressor finds something in, (N, H, W, C)."""
    found = np.random.default_rng(0).integers(0, 256, (COUNT, 40, 30, 3), np.uint8) & 0x3C
    return found if dtype is np.uint8 else (found / 255).astype(dtype)


def saved(path: Path, compressed: bool, **arrays: np.ndarray) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, allow_pickle=True, **arrays)
    return path


@pytest.fixture(params=[False, True], ids=["stored", "deflated"])
def compressed(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_slices_in_any_order_and_at_once_are_those_of_the_array(tmp_path, compressed):
    wanted = images()
    array = NpzArray.of(saved(tmp_path / "a.npz", compressed, other=wanted[::-1], images=wanted), "images")
    assert array is not None
    assert (array.shape, array.dtype, array.deflated) == (wanted.shape, wanted.dtype, compressed)
    wrong = []

    def read(seed: int) -> None:
        for _ in range(40):
            start, stop = sorted(np.random.default_rng(seed).integers(0, COUNT + 1, 2))
            wrong.extend([(start, stop)] * (not np.array_equal(array.read(start, stop), wanted[start:stop])))
            seed += 4

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("form", ["NHWC", "NCHW", "grey", "floats", "big endian", "Fortran order", "test split"])
def test_the_sums_are_those_of_the_array(form, tmp_path, compressed):
    wanted, split = images(), "train"
    arrays = {"images": wanted}
    if form == "NCHW":
        arrays = {"images": np.ascontiguousarray(wanted.transpose(0, 3, 1, 2))}
    elif form == "grey":
        wanted = wanted[..., :1]
        arrays = {"images": wanted[..., 0]}
    elif form in ("floats", "big endian"):
        wanted = images(np.float32)
        arrays = {"images": wanted.astype(">f4") if form == "big endian" else wanted}
    elif form == "Fortran order":
        arrays = {"images": np.asfortranarray(wanted)}
    elif form == "test split":
        arrays, split = {"x_train": wanted[:3], "y_train": np.zeros(3, int), "x_test": wanted}, "test"
    path = saved(tmp_path / "a.npz", compressed, **arrays)
    given = wanted.transpose(0, 3, 1, 2)
    expected = shards_of(given, images_per_shard=70)
    shards = shards_of(path, images_per_shard=70, split=split)
    assert [shard.identity for shard in shards] == [shard.identity for shard in expected]
    for shard, other in zip(shards, expected, strict=True):
        assert np.array_equal(np.concatenate(list(shard.read())), np.concatenate(list(other.read())))
    if wanted.dtype == np.uint8:
        assert accumulate(shards, 3, progress=False).moments == accumulate(expected, 3, progress=False).moments
    stream, array = (image_stream(one, split=chosen, progress=False) for one, chosen in ((path, split), (given, None)))
    assert np.array_equal(np.concatenate(list(stream)), given)
    assert stream.fingerprint == array.fingerprint


def test_what_numpy_would_refuse_is_refused(tmp_path, compressed):
    path = saved(tmp_path / "a.npz", compressed, images=images())
    content = path.read_bytes()
    for place in (0.3, 0.6, 0.95):
        damaged = bytearray(content)
        damaged[int(place * len(content))] ^= 16
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.npz cannot be read as a \.npz file: damaged"):
            shards_of(path)
        with pytest.raises(InputError, match=r"a\.npz cannot be read as a \.npz file: damaged"):
            list(image_stream(path, progress=False))
    for dtype, message in ((np.int32, "dtype int32 is not accepted"), (object, "holds pickled Python objects")):
        saved(path, compressed, images=images().astype(dtype))
        with pytest.raises(InputError, match=message):
            recognise(path).shards()
    floats = images(np.float64)
    floats[207, 3, 2, 1] = np.nan
    saved(path, compressed, images=floats)
    with pytest.raises(InputError, match=r"a\.npz: image 207 has values that are NaN"):
        shards_of(path)


def test_a_member_that_is_shorter_than_its_array_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    saved(path, False, images=images())
    content = path.read_bytes().replace(b"(300, 40, 30, 3)", b"(900, 40, 30, 3)")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"too few for uint8 of shape \(900, 40, 30, 3\)"):
        shards_of(path)


def test_a_file_that_changes_is_noticed(tmp_path, compressed):
    path = saved(tmp_path / "a.npz", compressed, images=images())
    shards = shards_of(path)
    saved(path, compressed, images=images()[:100])
    with pytest.raises(Exception, match=r"a\.npz has changed since the data set was listed"):
        list(shards[0].read())


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told by Linux")
def test_memory_does_not_grow_with_the_array(tmp_path):
    large = np.tile(images(), (1, 26, 34, 1))[:80]
    assert large.nbytes > 30 * _SLICE_BYTES
    paths = [saved(tmp_path / "small.npz", True, images=images())]
    paths += [saved(tmp_path / f"{kind}.npz", kind == "deflated", images=large) for kind in ("stored", "deflated")]
    child = subprocess.run([sys.executable, "-c", MEASURED, *paths], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    assert float(child.stdout) < 200  # MB, of stacks on their way; whole arrays take 330
