"""Every kind of data, through every function that takes images: the same images, or a line that says what to do."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tests.images.streams.tables import image_table, save_to_disk

import firstlight as fl
from firstlight.cli import main
from firstlight.errors import InputError
from firstlight.images import recognise, shards_of
from firstlight.patches.statistics import patch_statistics

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 14, 15), dtype=np.uint8)
BANK = fl.FilterBank(np.random.default_rng(1).normal(size=(4, 3, 3, 3)))
EXPECTED = fl.PatchMoments(3, 3).update(IMAGES)


class MapStyle(torch.utils.data.Dataset):
    """As torchvision's data sets are: an image and its class."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(IMAGES[index].transpose(1, 2, 0)), 0


def png(image: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(sink, "PNG")
    return sink.getvalue()


CELLS = [png(image) for image in IMAGES]


def pictures(folder: Path) -> Path:
    folder.mkdir()
    for number, cell in enumerate(CELLS):
        (folder / f"{number:03}.png").write_bytes(cell)
    return folder


def tars(folder: Path) -> Path:
    folder.mkdir()
    for name, cells, mode in (("0.tar", CELLS[:20], "w"), ("1.tgz", CELLS[20:], "w:gz")):
        with tarfile.open(folder / name, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
            for number, cell in enumerate(cells):
                member = tarfile.TarInfo(f"{number:03}.png")
                member.size = len(cell)
                archive.addfile(member, io.BytesIO(cell))
    return folder


def table(path: Path, cells: list[bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(image_table(list(cells)), path)
    return path


def parquets(folder: Path) -> Path:
    return table(folder / "0.parquet", CELLS[:25]) and table(folder / "1.parquet", CELLS[25:]).parent


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def npy(path: Path) -> Path:
    np.save(path, IMAGES.transpose(0, 2, 3, 1))
    return path


def batches() -> torch.utils.data.DataLoader:
    held = torch.utils.data.TensorDataset(torch.from_numpy(IMAGES), torch.zeros(len(IMAGES)))
    return torch.utils.data.DataLoader(held, batch_size=7)


# Each kind, made anew in a folder of its own, and what it can be: a set in one array, a stream, shards.
KINDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "folder of images": (lambda at: pictures(at / "birds"), "stream shards"),
    "folder of tars": (lambda at: tars(at / "birds"), "stream shards"),
    "folder of Parquet": (lambda at: parquets(at / "birds"), "stream shards"),
    "Parquet": (lambda at: table(at / "birds.parquet", CELLS), "stream shards"),
    "saved data set": (lambda at: save_to_disk(image_table(list(CELLS)), at / "birds"), "stream shards"),
    ".npy": (lambda at: npy(at / "birds.npy"), "set stream shards"),
    ".npz": (lambda at: saved(at / "birds.npz", images=IMAGES), "set stream shards"),
    "text": (lambda at: str(npy(at / "birds.npy")), "set stream shards"),
    "array": (lambda at: IMAGES, "set stream shards"),
    "channels last": (lambda at: np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)), "set stream shards"),
    "tensor": (lambda at: torch.from_numpy(IMAGES), "set stream shards"),
    "ImageSet": (lambda at: fl.load_images(IMAGES), "set stream shards"),
    "Dataset": (lambda at: MapStyle(), "stream"),
    "DataLoader": (lambda at: batches(), "stream"),
    "list": (lambda at: list(IMAGES), "stream"),
    "generator": (lambda at: iter(IMAGES), "stream"),
    "ImageStream": (lambda at: fl.image_stream(pictures(at / "birds"), progress=False), "stream"),
    "shards": (lambda at: shards_of(pictures(at / "birds"), images_per_shard=7), "shards"),
    "Data": (lambda at: recognise(pictures(at / "birds")), "stream shards"),
}


AT_A_PATH = ["folder of images", "folder of tars", "folder of Parquet", "Parquet", "saved data set", ".npy", ".npz"]


def summed(stacks: Any) -> fl.PatchMoments:
    moments = fl.PatchMoments(3, 3)
    for stack in stacks:
        moments.update(stack)
    return moments


def in_shards(source: Any) -> fl.PatchMoments:
    return summed(stack for shard in shards_of(source, images_per_shard=9) for stack in shard.stacks(strict=True))


CONSUMERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "load_images": (lambda source: summed([fl.load_images(source).images]), "set"),
    "image_stream": (lambda source: summed(fl.image_stream(source, progress=False)), "stream"),
    "shards_of": (in_shards, "shards"),
    "patch_statistics": (lambda source: patch_statistics(source, progress=False).moments(3, 3, 3), "stream"),
}


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_images(kind: str, consumer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(tmp_path / "cache"))
    make, gives = KINDS[kind]
    take, needs = CONSUMERS[consumer]
    source = make(tmp_path)
    if needs in gives.split():
        assert take(source) == EXPECTED
    else:
        with pytest.raises(InputError, match="; expected") as caught:
            take(source)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "shards"])
def test_every_kind_has_an_autocorrelation(kind: str, tmp_path: Path):
    found = fl.autocorrelation(BANK, KINDS[kind][0](tmp_path), 4)
    np.testing.assert_allclose(found.raw, fl.autocorrelation(BANK, IMAGES, 4).raw, rtol=1e-12)


@pytest.mark.parametrize("kind", AT_A_PATH)
def test_every_kind_at_a_path_is_summed_up_by_the_command(kind: str, tmp_path: Path):
    source = KINDS[kind][0](tmp_path)
    assert main(["moments", str(source), "--kernel-size", "3", "--out", str(tmp_path / "out.npz"), "--quiet"]) == 0
    assert fl.PatchMoments.load(tmp_path / "out.npz") == EXPECTED


def saved_sums(sums: Any, at: Path) -> Path:
    sums.save(at / "sums.npz")
    return at / "sums.npz"


@pytest.mark.parametrize(
    "make",
    [
        lambda at: EXPECTED,
        lambda at: saved_sums(EXPECTED, at),
        lambda at: str(saved_sums(EXPECTED, at)),
        lambda at: fl.ImageLags(3, 3, 2).update(IMAGES),
        lambda at: saved_sums(fl.ImageLags(3, 3, 2).update(IMAGES), at),
        lambda at: patch_statistics(EXPECTED),
        lambda at: patch_statistics(EXPECTED).basis(BANK),
    ],
    ids=["moments", "file of moments", "its name", "lags", "file of lags", "statistics", "basis"],
)
def test_statistics_are_taken_where_images_are(make: Callable[[Path], Any], tmp_path: Path):
    expected = patch_statistics(EXPECTED).basis(BANK)
    found = patch_statistics(make(tmp_path)).basis(BANK)
    np.testing.assert_array_equal(found.variance, expected.variance)
    assert fl.inspect(BANK, make(tmp_path)).findings


def test_a_basis_is_for_filters_of_its_shape_on_pixels_that_are_normalised_as_it_says():
    statistics = patch_statistics(patch_statistics(EXPECTED).basis(BANK))
    assert statistics.normalisation(3) == patch_statistics(EXPECTED).normalisation(3)
    for take, message in [
        (
            lambda: statistics.basis(fl.FilterBank(np.ones((1, 3, 2, 2)))),
            "filters are 3 x 2 x 2 .*: give one of patches",
        ),
        (lambda: statistics.basis(fl.FilterBank(np.ones((1, 3, 3, 3)), dilation=(2, 2))), "with dilation 2"),
        (lambda: statistics.basis(BANK, std=0.2), "normalised already: leave it out"),
        (lambda: statistics.moments(3, 3, 3), "holds no moments; expected PatchMoments"),
    ]:
        with pytest.raises(InputError, match=message):
            take()


def test_a_stream_stays_as_it_is_unless_its_images_are_to_be_changed():
    stream = fl.image_stream(IMAGES, progress=False)
    assert fl.image_stream(stream) is stream
    (stack,) = fl.image_stream(stream, crop=4, channels=1, progress=False)
    assert stack.shape == (40, 1, 4, 4)
    with pytest.raises(InputError, match="source is a ImageStream, which has no splits"):
        fl.image_stream(stream, split="train")


def test_shards_bring_their_options_with_them():
    shards = shards_of(IMAGES, images_per_shard=9, crop=5)
    assert shards_of(shards) == shards
    for options in ({"crop": 3}, {"channels": 1}):
        with pytest.raises(InputError, match="a list of shards of 3 channels, whose images cannot be changed any more"):
            shards_of(shards, **options)  # pyright: ignore[reportArgumentType]
