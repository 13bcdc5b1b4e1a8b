"""Files that are damaged or hostile: archives with planted code, bombs, cut off at any byte, with any bit flipped."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import pytest
import torch
from torch import nn

from firstlight.errors import InputError, SourceError
from firstlight.filters.formats.torch.reader import read_torch

MAGIC = 0x1950A86A20F9469CFC6C


def checkpoint():
    """Little of everything: types, strides, nesting, quantised numbers."""
    conv = nn.Conv2d(3, 2, 2)
    weight = conv.weight.detach()
    return {
        "state_dict": OrderedDict((f"module.conv.{name}", value) for name, value in conv.state_dict().items()),
        "half": [weight.half().transpose(0, 1), conv.bias],
        "bytes": (torch.arange(4).to(torch.float8_e5m2), 3, None, 0.5),
        "q": torch.quantize_per_channel(weight, torch.tensor([0.1, 0.2]), torch.tensor([1, 2]), 0, torch.qint8),
    }


def script():
    """A TorchScript archive with parameters and a constant."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x) + torch.tensor([1.5])

    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(Net(), torch.zeros(1, 3, 4, 4)), file)
    return file.getvalue()


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def files():
    """One small real file of each format."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, traced = checkpoint(), script()
        zipped, legacy = saved(value), saved(value, _use_new_zipfile_serialization=False)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return {"zip": zipped, "legacy": legacy, "script": traced, "packed": packed.getvalue()}


def survives(path, data):
    """Whether the file is read in whole; anything but a proper error is a failure."""
    path.write_bytes(data)
    try:
        file = read_torch(path, "ckpt.pt")
    except (InputError, SourceError) as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return False
    whole = True
    for entry in file.entries:
        try:
            assert entry.read().shape == entry.shape
        except (InputError, SourceError) as error:
            assert "\n" not in str(error)  # noqa: PT017
            whole = False
    return whole


FORMATS = ["zip", "legacy", "script", "packed"]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_files_themselves_are_read(tmp_path, files, kind):
    assert survives(tmp_path / "ckpt.pt", files[kind])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, files, kind):
    data = files[kind]
    for length in range(0, len(data), max(len(data) // 250, 1)):
        assert not survives(tmp_path / "ckpt.pt", data[:length])


@pytest.mark.parametrize("kind", FORMATS)
def test_any_flipped_bit_is_survived(tmp_path, files, kind):
    data = files[kind]
    step = max(len(data) * 8 // 800, 1) | 1  # odd, so that all eight bits have their turn
    refused = 0
    for bit in range(0, len(data) * 8, step):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        refused += not survives(tmp_path / "ckpt.pt", flipped)
    assert refused > 20


def attack(path):
    """A pickle that makes a folder when `pickle` reads it."""
    target = str(path).encode()
    return b"\x80\x02cos\nmkdir\nX" + struct.pack("<I", len(target)) + target + b"\x85R."


PLANTED = {
    "data.pkl": lambda evil: zipped({"a/data.pkl": evil}),
    "data.pkl of a script": lambda evil: zipped(
        {"a/data.pkl": evil, "a/constants.pkl": b"\x80\x02).", "a/code/a.py": b""}
    ),
    "constants.pkl": lambda evil: zipped({"a/data.pkl": b"\x80\x02}.", "a/constants.pkl": evil}),
    "object": lambda evil: header() + evil,
    "storage keys": lambda evil: header() + pickle.dumps({}, 2) + evil,
    "system information": lambda evil: header()[: -len(pickle.dumps({}, 2))] + evil,
    "magic number": lambda evil: b"\x80\x02" + pickle.dumps(MAGIC, 2)[2:-1] + b"0" + evil[2:],
}


def zipped(records, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return file.getvalue()


def header():
    return b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, {}))


@pytest.mark.parametrize("where", PLANTED)
def test_planted_code_is_refused_and_not_run(tmp_path, where):
    evil = attack(tmp_path / "appeared")
    path = tmp_path / "ckpt.pt"
    path.write_bytes(PLANTED[where](evil))
    with pytest.raises(SourceError, match=r"^ckpt\.pt names os\.mkdir, which [^\n]+$"):
        read_torch(path, "ckpt.pt")
    assert not (tmp_path / "appeared").exists()
    pickle.loads(evil)
    assert (tmp_path / "appeared").exists()


def test_the_code_of_a_torchscript_archive_is_not_run(tmp_path, files):
    evil = f"__import__('os').mkdir({str(tmp_path / 'appeared')!r})".encode()
    with zipfile.ZipFile(io.BytesIO(files["script"])) as archive:
        records = {name: evil if ".py" in name else archive.read(name) for name in archive.namelist()}
    assert evil in records.values()
    assert survives(tmp_path / "ckpt.pt", zipped(records))
    assert not (tmp_path / "appeared").exists()


def test_records_that_lead_out_of_the_archive_are_only_names(tmp_path):
    weight = torch.arange(4.0)
    with zipfile.ZipFile(io.BytesIO(saved({"weight": weight}))) as archive:
        records = {f"../../x/{name.partition('/')[2]}": archive.read(name) for name in archive.namelist()}
    path = tmp_path / "in" / "here" / "ckpt.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(zipped(records))
    assert read_torch(path, "ckpt.pt").entries[0].read().tolist() == weight.tolist()
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_bombs_are_not_unpacked(tmp_path):
    path = tmp_path / "ckpt.pt"
    size = 300 << 20
    pickled = saved({"first": torch.zeros(8), "last": torch.zeros(8)})
    with zipfile.ZipFile(io.BytesIO(pickled)) as archive:
        data = archive.read("archive/data.pkl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a/data.pkl", data)
        for key in "01":
            with archive.open(f"a/data/{key}", "w") as record:
                for _ in range(size >> 20):
                    record.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        for entry in read_torch(path, "ckpt.pt").entries:
            assert not entry.read().any()
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"N0" * (20 << 20) + b"N.")
    with pytest.raises(SourceError, match=r"41,943,044 bytes in its record a/data\.pkl, more than are read at once"):
        read_torch(path, "ckpt.pt")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"compress_type": zipfile.ZIP_BZIP2}, "encrypted or packed"),
        ({"flag_bits": 1}, "encrypted or packed"),
        ({"header_offset": 7}, "not where it should be"),
        ({"header_offset": 1 << 60}, "not where it should be"),
        ({"file_size": 1 << 24, "compress_size": 1 << 24}, "not whole"),
        ({"file_size": 1 << 60, "compress_size": 1 << 60}, "more than are read at once"),
        ({"compress_type": zipfile.ZIP_DEFLATED}, "not whole"),
    ],
)
def test_records_that_lie_are_refused(tmp_path, changes, says):
    path = tmp_path / "ckpt.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        for name, value in changes.items():
            setattr(archive.infolist()[0], name, value)
    with pytest.raises(
        SourceError, match=rf"^ckpt\.pt [^\n]*record a/data\.pkl[^\n]*{says}|{says}[^\n]*record a/data\.pkl"
    ):
        read_torch(path, "ckpt.pt")


def test_a_list_of_millions_of_records_is_not_read(tmp_path):
    entry = b"PK\1\2" + bytes(42)
    count = (17 << 20) // len(entry)
    path = tmp_path / "ckpt.pt"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFE, 0xFFFE, count * len(entry), 0, 0)
    path.write_bytes(entry * count + end)
    with path.open("r+b") as file:
        file.write(b"PK")
    with pytest.raises(SourceError, match="list of records cannot be read"):
        read_torch(path, "ckpt.pt")


@pytest.mark.parametrize("order", [b"middle", b"", b"l" * 100])
def test_an_unknown_byte_order_is_refused(tmp_path, order):
    path = tmp_path / "ckpt.pt"
    path.write_bytes(zipped({"a/data.pkl": b"\x80\x02}.", "a/byteorder": order}))
    with pytest.raises(SourceError, match=r"byte ?order"):
        read_torch(path, "ckpt.pt")


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (pickle.dumps(["0"], 2), "a list of storages that its tensors do not use"),
        (pickle.dumps([1], 2), "a list of storages that its tensors do not use"),
        (pickle.dumps(7, 2), "a list of storages that its tensors do not use"),
        (b"", "a pickle without an end"),
    ],
)
def test_the_list_of_storages_must_be_the_tensors_own(tmp_path, tail, says):
    path = tmp_path / "ckpt.pt"
    path.write_bytes(header() + pickle.dumps({}, 2) + tail)
    with pytest.raises(SourceError, match=says):
        read_torch(path, "ckpt.pt")


def test_a_storage_longer_than_the_file_or_shorter_than_its_tensor_is_refused(tmp_path):
    path = tmp_path / "ckpt.pt"
    data = saved({"weight": torch.arange(4.0)}, _use_new_zipfile_serialization=False)
    position = len(data) - 16 - 8
    assert data[position : position + 8] == (4).to_bytes(8, "little")
    for count in (3, 5, 1 << 20, (1 << 64) - 1):
        path.write_bytes(data[:position] + count.to_bytes(8, "little") + data[position + 8 :])
        with pytest.raises(SourceError, match=r"^ckpt\.pt is (cut off|damaged)"):
            read_torch(path, "ckpt.pt").entries[0].read()


def test_other_versions_of_the_format_are_refused(tmp_path):
    path = tmp_path / "ckpt.pt"
    for parts in ((MAGIC, 1002, {}), ((MAGIC, 0), 1001, {})):
        path.write_bytes(b"".join(pickle.dumps(part, 2) for part in (*parts, {}, [])))
        with pytest.raises(SourceError, match="unknown version"):
            read_torch(path, "ckpt.pt")
