"""Data and weights in remote stores: fsspec's own in memory stands for all of them."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import h5py
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import firstlight as fl
from firstlight.cli import main
from firstlight.errors import FirstlightError, InputError, MachineError
from firstlight.filters.formats.keras.model import read_in_process
from firstlight.utils.named_path import path_of
from firstlight.utils.remote_paths import RemotePath

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 9, 11, 3), np.uint8)
SUMS = fl.PatchMoments(3, 3).update(IMAGES.transpose(0, 3, 1, 2))
WEIGHT = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 3, 3, 3)).astype(np.float32))


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def written(write: Any, *arguments: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    write(buffer, *arguments, **options)
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number, image in enumerate(IMAGES):
            content, member = png(image), tarfile.TarInfo(f"{number}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def table(kind: str) -> bytes:
    made = pa.table({"image": pa.array([png(image) for image in IMAGES], pa.binary())})
    buffer = io.BytesIO()
    if kind == "parquet":
        pq.write_table(made, buffer)
    else:
        with pa.ipc.new_file(buffer, made.schema) as writer:
            writer.write_table(made)
    return buffer.getvalue()


def onnx_model() -> bytes:
    image, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 9, 9)) for name in ("image", "out"))
    weight = numpy_helper.from_array(WEIGHT.numpy(), "0.weight")
    graph = helper.make_graph([helper.make_node("Conv", ["image", "0.weight"], ["out"])], "g", [image], [out], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString()


def keras_weights() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group["0"] = WEIGHT.numpy().transpose(2, 3, 1, 0)
    return buffer.getvalue()


DATA = {
    "images/": {f"{number % 2}/{number:02}.png": png(image) for number, image in enumerate(IMAGES)},
    "tars/": {"a.tar": tar()},
    "a.tar.gz": gzip.compress(tar()),
    "a.npy": written(np.save, IMAGES),
    "a.npz": written(np.savez, images=IMAGES),
    "packed.npz": written(np.savez_compressed, images=IMAGES),
    "parquet/": {"train-0.parquet": table("parquet")},
    "a.parquet": table("parquet"),
    "a.arrow": table("arrow"),
}
STATE = {"0.weight": WEIGHT}
WEIGHTS = {
    "a.pth": written(lambda buffer: torch.save(STATE, buffer)),
    "old.pth": written(lambda buffer: torch.save(STATE, buffer, _use_new_zipfile_serialization=False)),
    "folder/": {"model.safetensors": safetensors.torch.save(STATE)},
    "sharded/": {
        "model.safetensors.index.json": json.dumps({"weight_map": {"0.weight": "one.safetensors"}}).encode(),
        "one.safetensors": safetensors.torch.save(STATE),
    },
    "a.npy": written(np.save, WEIGHT.numpy()),
    "a.npz": written(np.savez, weight=WEIGHT.numpy()),
    "a.onnx": onnx_model(),
}


@pytest.fixture
def store() -> Iterator[Any]:
    found = fsspec.filesystem("memory")
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


def put(store: Any, name: str, content: Any) -> str:
    for below, part in content.items() if isinstance(content, dict) else [("", content)]:
        store.pipe(f"/place/{name}{below}", part)
    return f"memory://place/{name}".rstrip("/")


@pytest.mark.parametrize("name", DATA)
def test_data_give_the_same_sums_as_on_a_disk(
    name: str, store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source = put(store, name, DATA[name])
    found = fl.accumulate(fl.shards_of(source, images_per_shard=7), 3, state=tmp_path / "state", progress=False)
    assert (found.moments, found.images, found.broken_count) == (SUMS, 20, 0)
    stream = fl.image_stream(source, progress=False)
    assert sum(map(len, stream)) == 20
    assert stream.fingerprint is not None
    assert main(["moments", source, "--kernel-size", "3", "--out", str(tmp_path / "m.npz"), "-q"]) == 0
    assert fl.PatchMoments.load(tmp_path / "m.npz") == SUMS
    kept = (tmp_path / "m.npz").read_bytes()
    assert main(["moments", source, "--kernel-size", "3", "--out", str(tmp_path / "m.npz"), "-q"]) == 0
    assert (tmp_path / "m.npz").read_bytes() == kept
    store.pipe("/place/sums.npz", kept)
    assert fl.patch_statistics("memory://place/sums.npz").moments(3, 3, 3) == SUMS


def test_folders_of_classes(store: Any):
    images = {
        f"{split}/{number % 2}/{number}.png": png(IMAGES[number]) for split in ("train", "test") for number in range(9)
    }
    found = fl.load_images(put(store, "classes/", images), "test")
    assert (len(found), found.classes) == (9, ("0", "1"))


def test_a_file_that_changes_is_noticed(store: Any):
    shards = fl.shards_of(put(store, "images/", DATA["images/"]))
    store.pipe("/place/images/0/00.png", b"another")
    with pytest.raises(FirstlightError, match=r"memory://place/images/0/00\.png has changed"):
        list(shards[0].read())


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str, store: Any):
    bank = fl.load_filters(put(store, name, WEIGHTS[name]))
    np.testing.assert_array_equal(bank.weight, WEIGHT)


def test_weights_of_keras_which_another_process_reads(store: Any):
    bank = read_in_process(path_of(put(store, "a.weights.h5", keras_weights())), "a")
    np.testing.assert_array_equal(bank.weight, WEIGHT)


def test_data_of_an_onnx_model_beside_it(store: Any, tmp_path: Path):
    model = onnx.load_from_string(onnx_model())
    onnx.save(model, tmp_path / "a.onnx", save_as_external_data=True, location="a.onnx_data", size_threshold=0)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    np.testing.assert_array_equal(fl.load_filters(f"{put(store, 'net/', files)}/a.onnx").weight, WEIGHT)


def test_only_what_is_needed_is_fetched(store: Any, monkeypatch: pytest.MonkeyPatch):
    large = {"0.weight": WEIGHT, "rest": torch.zeros(1 << 22)}
    fetched = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            fetched.append(len(content := super().read(size)))
            return content

    for name, content in {
        "a.safetensors": safetensors.torch.save(large),
        "a.pth": written(lambda b: torch.save(large, b)),
    }.items():
        source = put(store, name, content)
        monkeypatch.setattr(RemotePath, "open", lambda self, *_, content=content, **__: Counted(content))
        np.testing.assert_array_equal(fl.load_filters(source).weight, WEIGHT)
        assert 0 < sum(fetched) < 100_000 < len(content)
        fetched.clear()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://bucket/photos", "the package for s3:// is missing; expected it: pip install s3fs"),
        ("ssh://host/photos", "the package for ssh:// is missing; expected it: pip install paramiko"),
        (
            "simplecache::gs://bucket/a.tar",
            "the package for simplecache::gs:// is missing; expected it: pip install gcsfs",
        ),
        ("nobody://photos", "nobody knows nobody://; expected a protocol of fsspec"),
        ("zip://a.npy::s3://bucket/a.zip", "is an address in another one"),
        ("memory://place/none", "memory://place/none does not exist"),
    ],
)
def test_what_cannot_be_had_is_one_line(source: str, message: str, store: Any, capsys: pytest.CaptureFixture[str]):
    for command in (["inspect", source], ["moments", source, "--kernel-size", "3", "--plan"]):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert message in told
        assert told.count("\n") == 1


@pytest.mark.parametrize(
    "source", ["s3://KEY:SECRET@bucket/a.npy", "ssh://SECRET@host/a", "gs://bucket/a?token=SECRET"]
)
def test_what_may_be_a_credential_is_refused_and_not_repeated(source: str):
    with pytest.raises(InputError, match="which may be a credential") as caught:
        path_of(source)
    assert "SECRET" not in str(caught.value)


def test_what_a_store_says_goes_on_without_addresses(store: Any, monkeypatch: pytest.MonkeyPatch):
    source = put(store, "a.npy", DATA["a.npy"])

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("403 for https://host/a.npy?signature=SECRET")

    monkeypatch.setattr(type(store), "open", fail)
    with pytest.raises((FirstlightError, OSError), match="RuntimeError: 403 for") as caught:
        fl.shards_of(source)
    assert "SECRET" not in str(caught.value)


def test_paths_of_this_machine_stay_paths(tmp_path: Path):
    assert path_of(str(tmp_path)) == path_of(f"file://{tmp_path}") == path_of(tmp_path) == tmp_path
    assert not isinstance(path_of(f"file://{tmp_path}"), RemotePath)


@pytest.mark.parametrize("name", ["1.png", "1.tar"])
def test_a_connection_that_breaks_off_breaks_no_image(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise TimeoutError  # without a number, as that of fsspec

        def seek(self, offset: int, whence: int = 0) -> int:
            return 99_999 if whence else offset

        def tell(self) -> int:
            return 0

    fsspec.filesystem("memory").pipe(f"/away/{name}", tar() if name.endswith("tar") else png(IMAGES[0]))
    stream = fl.image_stream(f"memory://away/{name}", progress=False)
    monkeypatch.setattr("firstlight.utils.trouble._WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.open", lambda *_, **__: Broken())
    with pytest.raises(MachineError, match=rf"{name} cannot be read on this machine \(TimeoutError\): see to the disk"):
        list(stream)
