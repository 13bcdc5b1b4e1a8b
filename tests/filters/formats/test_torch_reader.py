"""Files of torch.save and torch.jit.save: the same names, shapes and bits as torch itself loads."""

import io
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch._utils import _rebuild_tensor, _rebuild_tensor_v2

from firstlight.errors import SourceError
from firstlight.filters.formats.torch.reader import read_torch

CHECKPOINTS = Path(__file__).parents[4] / "shared" / "data" / "checkpoints"
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
DTYPES += [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool, torch.uint16, torch.uint32]
DTYPES += [torch.float8_e8m0fnu, torch.float8_e4m3fnuz]


@st.composite
def tensors(draw):
    """Tensors of every type, contiguous or a view with any offset and strides, of few dimensions."""
    dtype = draw(st.sampled_from(DTYPES))
    count = draw(st.integers(1, 40))
    raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    raw = bytes(byte & 1 for byte in raw) if dtype == torch.bool else raw
    flat = torch.frombuffer(bytearray(raw), dtype=dtype)
    shape, strides, span = [], [], 0
    for _ in range(draw(st.integers(0, 4))):
        size, step = draw(st.integers(0, 4)), draw(st.integers(0, 6))
        if span + max(size - 1, 0) * step < count:
            shape, strides, span = [*shape, size], [*strides, step], span + max(size - 1, 0) * step
    return flat.as_strided(shape, strides, draw(st.integers(0, count - 1 - span)))


SCALARS = (
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4) | st.binary(min_size=1, max_size=4)
)
NAMES = st.text(st.characters(categories=("L", "N"), include_characters="._"), max_size=6)
CHECKPOINT = st.recursive(
    tensors() | SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES | st.integers(0, 9), inner, max_size=4)
        | st.dictionaries(NAMES, inner, max_size=4).map(OrderedDict)
    ),
    max_leaves=12,
)


def expected(value, keys=()):
    """All tensors of an object under their dotted names."""
    if isinstance(value, torch.Tensor):
        yield ".".join(map(str, keys)) if keys else "tensor", value
    elif isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from expected(item, (*keys, key))


def bits(tensor):
    """A tensor's values in float64."""
    return tensor.detach().to(torch.float64).numpy()


def assert_same(path, loaded):
    """Hold what is read against what torch loads."""
    found, wanted = read_torch(path, "ckpt.pt"), list(expected(loaded))
    assert [entry.name for entry in found.entries] == [name for name, _ in wanted]
    assert found.ordered
    assert found.source == "ckpt.pt"
    for entry, (_, tensor) in zip(found.entries, wanted, strict=True):
        assert entry.shape == tuple(tensor.shape)
        assert entry.dtype == str(tensor.dtype).removeprefix("torch.")
        values = entry.read()
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, bits(tensor))
        # That of a NaN means nothing: torch and ml_dtypes read the only one of float8_e4m3fnuz with different signs.
        signed = ~np.isnan(values)
        np.testing.assert_array_equal(np.signbit(values)[signed], np.signbit(bits(tensor))[signed])


def saved(path, value, **options):
    torch.save(value, path, **options)
    return path


@given(CHECKPOINT, st.booleans(), st.integers(2, 5))
@settings(max_examples=100)
def test_any_checkpoint_is_read_as_torch_loads_it(tmp_path_factory, value, in_zip, protocol):
    path = tmp_path_factory.getbasetemp() / "any.pt"
    torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=in_zip)
    # Some of these torch cannot load itself: float8 in its older format, other protocols without running code.
    loaded = torch.load(path, weights_only=protocol == 2) if in_zip else value
    if any(True for _ in expected(loaded)):
        assert_same(path, loaded)
    else:
        with pytest.raises(SourceError, match="holds no tensors but"):
            read_torch(path, "ckpt.pt")


class Net(nn.Module):
    """A convolution of each memory format, batch normalisation, shared and nested parameters."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Conv2d(4, 4, 3, bias=False)
        self.second.weight = nn.Parameter(self.second.weight.contiguous(memory_format=torch.channels_last))
        self.tied = self.second
        self.register_buffer("offsets", torch.arange(6).reshape(2, 3).T)

    def forward(self, x):
        return self.second(self.features(x)).sum((2, 3)) + self.offsets.sum()  # pyright: ignore[reportCallIssue]


def trained(net):
    """An optimizer that has a state for each parameter."""
    optimizer = torch.optim.Adam(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("in_zip", [True, False])
def test_checkpoints_as_people_wrap_them(tmp_path, in_zip):
    net = Net()
    ema = torch.optim.swa_utils.AveragedModel(net)
    state = net.state_dict()
    for checkpoint in (
        state,
        nn.DataParallel(net).state_dict(),
        {"model": state, "ema": ema.state_dict(), "optimizer": trained(net).state_dict(), "epoch": 3, "best": 0.5},
        {"state_dict": {f"net._orig_mod.{name}": value for name, value in state.items()}, "optimizer_states": [{}]},
        [state, {"a": (state["second.weight"], None)}],
        dict(net.named_parameters()),
        net.second.weight,
        {1: {2: torch.ones(3)}, None: torch.zeros(2), 0.5: torch.ones(1)},
        {"rng": torch.get_rng_state(), "size": torch.Size([2]), "device": torch.device("cpu"), "dtype": torch.float32},
        {"half": net.second.weight.half(), "shared": state["offsets"], "set": {1, 2}, "complex": 1j, "b": bytearray(2)},
    ):
        path = saved(tmp_path / "ckpt.pt", checkpoint, _use_new_zipfile_serialization=in_zip)
        assert_same(path, torch.load(path, weights_only=True))


def test_a_tensor_with_attributes_and_one_with_a_negative_bit(tmp_path):
    tagged = nn.Parameter(torch.ones(2))
    tagged.tag = "a"  # pyright: ignore[reportAttributeAccessIssue]
    plain = torch.arange(3.0)
    plain.tag = {"b": 1}  # pyright: ignore[reportAttributeAccessIssue]
    negative = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert negative.is_neg()
    path = saved(tmp_path / "ckpt.pt", {"tagged": tagged, "plain": plain, "negative": negative})
    assert_same(path, torch.load(path, weights_only=True))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("in_zip", [True, False])
def test_numbers_that_are_not_there_or_not_real_are_refused_when_they_are_read(tmp_path, in_zip):
    checkpoint = {
        "complex": torch.ones(2, dtype=torch.complex64),
        "sparse": torch.eye(3).to_sparse(),
        "rows": torch.eye(3).to_sparse_csr(),
        "meta": torch.ones((2, 3), device="meta"),
        "good": torch.ones(2),
    }
    found = read_torch(saved(tmp_path / "ckpt.pt", checkpoint, _use_new_zipfile_serialization=in_zip), "ckpt.pt")
    entries = {entry.name: entry for entry in found.entries}
    assert [entry.shape for entry in found.entries] == [(2,), (3, 3), (3, 3), (2, 3), (2,)]
    for name, says in (("complex", "complex64"), ("sparse", "sparse"), ("rows", "sparse"), ("meta", "meta device")):
        with pytest.raises(SourceError, match=rf"^ckpt\.pt: {name}[^\n]*{says}[^\n]+$"):
            entries[name].read()
    np.testing.assert_array_equal(entries["good"].read(), [1, 1])


def quantised():
    """Eager quantised layers, and the tensor of each scheme and type on its own."""
    from torch.ao.nn import quantized

    values = torch.linspace(-3, 3, 4 * 3 * 2 * 2).reshape(4, 3, 2, 2)
    scales, zeros = torch.tensor([0.1, 0.2, 0.05, 0.5]).double(), torch.tensor([0, 3, -5, 7])
    conv = quantized.Conv2d(3, 4, 2)
    conv.set_weight_bias(torch.quantize_per_channel(values, scales, zeros, 0, torch.qint8), torch.zeros(4))
    return {
        "conv": conv.state_dict(),
        "linear": quantized.Linear(3, 2).state_dict(),
        "tensor": torch.quantize_per_tensor(values, 0.1, 10, torch.quint8).permute(1, 0, 3, 2),
        "int32": torch.quantize_per_tensor(values, 0.01, 0, torch.qint32)[1:],
        "axis": torch.quantize_per_channel(values, scales[:3], zeros[:3], 1, torch.qint8),
        "float": torch.quantize_per_channel(
            values, scales.float(), zeros.float() / 7, 0, torch.quint8
        ),  # zero points between integers
    }


@pytest.mark.filterwarnings("ignore:torch.quantize_per:UserWarning", "ignore:TypedStorage:UserWarning")
@pytest.mark.parametrize("in_zip", [True, False])
def test_quantised_tensors_are_rescaled(tmp_path, in_zip):
    path = saved(tmp_path / "ckpt.pt", quantised(), _use_new_zipfile_serialization=in_zip)
    found = {entry.name: entry for entry in read_torch(path, "ckpt.pt").entries}
    wanted = dict(expected(torch.load(path, weights_only=True)))
    assert found.keys() == wanted.keys()
    assert found["conv.weight"].dtype == "quantized int8"
    assert found["tensor"].dtype == "quantized uint8"
    for name, tensor in wanted.items():
        if tensor.is_quantized:
            # torch multiplies in float32.
            np.testing.assert_allclose(found[name].read(), bits(tensor.dequantize()), rtol=1e-6, atol=0)


def scripted(module, tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.save(module, path)
    return path


class Held(nn.Module):
    """Tensors in a list, a dict and a tuple beside the layers, as scripted modules can have them."""

    table: dict[str, torch.Tensor]
    several: list[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.table = {"a": torch.ones(1)}
        self.several = [torch.ones(2), torch.zeros(3)]
        self.net = Net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) + self.table["a"] + self.several[0][0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("way", ["script", "trace", "mobile"])
@pytest.mark.parametrize("make", [Net, lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), Held])
def test_torchscript_archives(tmp_path, way, make):
    module = make().eval()
    script: Any = torch.jit.trace(module, torch.zeros(1, 3, 8, 8)) if way == "trace" else torch.jit.script(module)
    path = tmp_path / "script.pt"
    if way == "mobile":
        script._save_for_lite_interpreter(str(path))
    else:
        script.save(str(path))
    found = {entry.name: entry for entry in read_torch(path, "ckpt.pt").entries}
    wanted = {name: value for name, value in script.state_dict().items() if not name.startswith("net.tied")}
    assert [name for name in found if name in wanted] == [name for name in wanted if name in found]
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name].read(), bits(tensor))
    if make is Held and way != "trace":
        assert {"table.a", "several.0", "several.1"} <= found.keys()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_frozen_torchscript_module_has_constants_without_names(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    path = tmp_path / "script.pt"
    torch.jit.freeze(torch.jit.script(module)).save(str(path))
    found = read_torch(path, "ckpt.pt")
    by_shape = {entry.shape: entry for entry in found.entries}
    np.testing.assert_array_equal(by_shape[4, 3, 3, 3].read(), bits(module[0].weight))
    assert all(entry.name.startswith("constants.") for entry in found.entries)
    assert "frozen" in found.notes[0]


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """The archive with each record changed by `change(name, data)`."""
    with zipfile.ZipFile(path) as old:
        records = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, data in records:
            new.writestr(name, change(name, data))
    return path


def test_a_big_endian_file(tmp_path):
    weights = {"a": torch.arange(5, dtype=torch.float32) / 7, "b": torch.arange(10, 16, dtype=torch.float32)[1::2]}

    def change(name, data):
        if name.endswith("byteorder"):
            return b"big"
        return np.frombuffer(data, "<u4").byteswap().tobytes() if "/data/" in name and "." not in name else data

    path = rewritten(saved(tmp_path / "ckpt.pt", weights), change)
    np.testing.assert_array_equal(bits(torch.load(path, weights_only=True)["b"]), bits(weights["b"]))
    assert_same(path, weights)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_that_was_packed_again(tmp_path, compression):
    weights = {"a": torch.arange(5000.0), "b": torch.arange(5000.0)[4000:4010:3]}
    assert_same(rewritten(saved(tmp_path / "ckpt.pt", weights), lambda _, data: data, compression), weights)


def test_a_file_without_checksums(tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(tmp_path / "ckpt.pt", {"a": torch.ones(3)})
    finally:
        torch.serialization.set_crc32_options(before)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is not None
    assert_same(path, {"a": torch.ones(3)})


def legacy(value, keys, numbers, persistent):
    """A file of the format before PyTorch 1.6, with the persistent ids as given."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return persistent.get(obj) if isinstance(obj, str) else None

    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(part, file, 2)
    Pickler(file, 2).dump(value)
    pickle.dump(keys, file, 2)
    return file.getvalue() + len(numbers).to_bytes(8, "little") + numbers.tobytes()


class Rebuilt:
    """Pickles as a call of this function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_storage_views_as_before_pytorch_0_4(tmp_path):
    numbers = np.arange(10, dtype=np.float32)
    persistent = {
        name: ("storage", torch.FloatStorage, "root", "cuda:0", 10, view)
        for name, view in (("storage whole", None), ("storage view", ("part", 3, 6)))
    }
    value = {
        "whole": Rebuilt(_rebuild_tensor, "storage whole", 1, (2, 2), (2, 1)),
        "view": Rebuilt(_rebuild_tensor_v2, "storage view", 1, (2, 2), (1, 2), False, OrderedDict()),
    }
    path = tmp_path / "old.pt"
    path.write_bytes(legacy(value, ["root"], numbers, persistent))
    assert_same(path, torch.load(path, weights_only=True, map_location="cpu"))


def test_tensors_that_are_given_their_state_as_in_pytorch_0_1(tmp_path):
    class Old:
        def __init__(self, kind, *state):
            self.kind, self.state = kind, state

        def __reduce__(self):
            return self.kind, (), self.state

    value = {"tensor": Old(torch.FloatTensor, "whole", 2, (2, 3), (1, 2))}
    value["parameter"] = Old(nn.Parameter, value["tensor"], None, OrderedDict(), True, False)
    path = tmp_path / "old.pt"
    persistent = {"whole": ("storage", torch.FloatStorage, "root", "cpu", 10, None)}
    path.write_bytes(legacy(value, ["root"], np.arange(10, dtype=np.float32), persistent))
    assert_same(path, torch.load(path, weights_only=False))


def test_the_tar_format_is_refused_by_name(tmp_path):
    import tarfile

    path = tmp_path / "ckpt.pt"
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(SourceError, match=r"^ckpt\.pt was saved by PyTorch before 0\.1\.10"):
        read_torch(path, "ckpt.pt")


@pytest.mark.parametrize("in_zip", [True, False])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "an empty dict"),
        ({"epoch": 3, "lr": 0.1}, "a dict of epoch, lr;"),
        (dict.fromkeys("abcdefg"), "a dict of a, b, c, d, e and more"),
        ([1, 2, 3], "a list of 3 values"),
        (7, "a value of type int"),
        (torch.device("cpu"), "what torch.device makes"),
    ],
)
def test_a_file_without_tensors_says_what_it_holds(tmp_path, in_zip, value, says):
    path = saved(tmp_path / "ckpt.pt", value, _use_new_zipfile_serialization=in_zip)
    with pytest.raises(SourceError, match=rf"^ckpt\.pt holds no tensors but {says}"):
        read_torch(path, "ckpt.pt")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "ckpt.pt"
    for data, says in (
        (b"", "no PyTorch file"),
        (b"weights", "no PyTorch file"),
        (pickle.dumps([1, 2], 2), "a pickle that torch.save did not write"),
        (b"PK", "whose list of records cannot be read"),
    ):
        path.write_bytes(data)
        with pytest.raises(SourceError, match=rf"^ckpt\.pt is .*{says}[^\n]*$"):
            read_torch(path, "ckpt.pt")
    with pytest.raises(SourceError, match=r"^ckpt\.pt: cannot be read \(it is a folder;"):
        read_torch(tmp_path, "ckpt.pt")
    with pytest.raises(SourceError, match=r"^ckpt\.pt: cannot be read \(No such file"):
        read_torch(tmp_path / "none", "ckpt.pt")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "text")
    with pytest.raises(SourceError, match="zip archive without"):
        read_torch(path, "ckpt.pt")


@pytest.mark.parametrize("file", ["resnet20-12fca82f.th", "resnet32-d509ac18.th"])
def test_published_checkpoints(file):
    if not (CHECKPOINTS / file).exists():
        pytest.skip(f"the published checkpoint {file} is not beside the repository")
    assert_same(CHECKPOINTS / file, torch.load(CHECKPOINTS / file, map_location="cpu", weights_only=True))


@pytest.mark.parametrize("in_zip", [True, False])
def test_one_tensor_of_a_large_file_is_read_without_torch_and_without_the_rest(tmp_path, in_zip):
    path = tmp_path / "ckpt.pt"
    state = {f"layer{i}.weight": torch.full((64, 3, 7, 7), float(i)) for i in range(300)}
    torch.save({"state_dict": state, "big": torch.zeros(25_000_000)}, path, _use_new_zipfile_serialization=in_zip)
    program = f"""
import sys, tracemalloc
from pathlib import Path
from firstlight.filters.formats.torch.reader import read_torch
tracemalloc.start()
file = read_torch(Path({str(path)!r}), "ckpt.pt")
assert len(file.entries) == 301
assert (file.entries[7].read() == 7).all()
assert tracemalloc.get_traced_memory()[1] < 64 << 20
assert not {{"torch", "scipy", "pandas", "numba"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
