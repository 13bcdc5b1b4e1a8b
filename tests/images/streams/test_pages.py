"""Files of several pages or frames: the first, or each of them as an image."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstlight import InputError, PatchMoments, accumulate, image_stream, shards_of
from firstlight.cli import main

PAGES = np.random.default_rng(0).integers(0, 256, (5, 12, 10, 3), np.uint8)
FORMATS = {"tif": "TIFF", "webp": "WEBP", "png": "PNG", "gif": "GIF"}
EXACT = {"tif": {}, "webp": {"lossless": True, "exact": True}, "png": {}}


def paged(kind: str, pages: np.ndarray = PAGES) -> bytes:
    first, *others = map(Image.fromarray, pages)
    buffer = io.BytesIO()
    first.save(buffer, FORMATS[kind], save_all=True, append_images=others, **EXACT.get(kind, {}))
    return buffer.getvalue()


def images_of(source: Path, **options) -> list[np.ndarray]:
    return [image for stack in image_stream(source, progress=False, **options) for image in stack.transpose(0, 2, 3, 1)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", EXACT)
def test_pages_are_images_of_their_own(kind: str, workers: int, tmp_path: Path) -> None:
    (tmp_path / f"a.{kind}").write_bytes(paged(kind))
    Image.fromarray(PAGES[4]).save(tmp_path / "b.png")
    first = image_stream(tmp_path, progress=False, workers=workers)
    assert (sum(map(len, first)), first.left_out) == (2, {"further pages": 4})
    every = image_stream(tmp_path, pages="all", progress=False, workers=workers)
    assert np.array_equal(np.concatenate(list(every)).transpose(0, 2, 3, 1), np.concatenate([PAGES, PAGES[4:]]))
    assert every.left_out == {}
    assert every.fingerprint != first.fingerprint
    sums = PatchMoments(3, 3).update(np.concatenate([PAGES, PAGES[4:]]).transpose(0, 3, 1, 2))
    done = accumulate(shards_of(tmp_path, pages="all", images_per_shard=1), 3, progress=False)
    assert (done.moments, done.images, done.left_out) == (sums, 6, {})


def test_pages_of_several_sizes_and_16_bits(tmp_path: Path) -> None:
    deep = [np.random.default_rng(side).integers(0, 65536, (side, side), np.uint16) for side in (9, 11)]
    first, second = map(Image.fromarray, deep)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    found = images_of(tmp_path / "a.tif", pages="all", channels=1)
    for image, levels in zip(found, deep, strict=True):
        assert np.array_equal(image[..., 0], np.round(levels / 257).astype(np.uint8))


def test_frames_of_a_gif(tmp_path: Path) -> None:
    grey = np.repeat(PAGES[..., :1], 3, axis=3)
    (tmp_path / "a.gif").write_bytes(paged("gif", grey[..., 0]))
    assert np.array_equal(images_of(tmp_path / "a.gif", pages="all"), grey)


def test_pages_in_tars_and_broken_ones_are_named(tmp_path: Path) -> None:
    content = paged("tif", PAGES)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, part in {"a.tif": content, "b.tif": b"none"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(part)
            archive.addfile(member, io.BytesIO(part))
    done = accumulate(shards_of(tmp_path / "a.tar", pages="all"), 3, progress=False)
    assert (done.images, [name for name, _ in done.broken]) == (5, ["a.tar: b.tif"])


def test_the_choice_is_one_of_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "data", tmp_path / "m.npz"
    source.mkdir()
    (source / "a.tif").write_bytes(paged("tif"))
    Image.fromarray(PAGES[0]).save(source / "b.png")
    assert [one.identity for one in shards_of(source)] == [one.identity for one in shards_of(source, pages="first")]
    assert [one.identity for one in shards_of(source)] != [one.identity for one in shards_of(source, pages="all")]
    command = [
        "moments",
        str(source),
        "--kernel-size",
        "3",
        "--out",
        str(out),
        "-q",
        "--json",
        str(tmp_path / "a.json"),
    ]
    assert main(command) == 0
    assert main([*command, "--pages", "all"]) == 2
    assert "which holds moments of pages None; expected all" in capsys.readouterr().err
    assert main([*command, "--pages", "all", "--force"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["images"] == 6
    with np.load(out) as arrays:
        provenance = json.loads(str(arrays["header"]))["provenance"]
    assert json.loads(provenance["options"])["pages"] == "all"
    with pytest.raises(InputError, match="pages is 'some'; expected 'first' or 'all'"):
        image_stream(source, pages="some")
