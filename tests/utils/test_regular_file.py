"""Nothing that is read may keep its reader waiting: pipes, sockets and devices are refused, everywhere."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import firstlight as fl
from firstlight.cli import main
from firstlight.errors import InputError
from firstlight.utils.regular_file import NotAFile, check_file, open_file

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes")
SOURCES = Path(fl.__file__).parent

# What opens by name, and why it may.
RAW = re.compile(
    r"(?<!def )(?<![\w.])open\(|\bpath\.open\(|\.open\(\"r|\.open\(newline|read_bytes\(\)|read_text\(|np\.load\("
    r"|open_memmap\(|safe_open\(|h5py\.File\(|ParquetFile\(|memory_map\(|tarfile\.open\(|ZipFile\(|is_zipfile\(|Image\.open\(|read_csv\("
)
ALLOWED = {
    "cli/safe_outputs.py": "what is to be written over, and was found to be no pipe or device",
    "cli/ending.py": "/dev/null",
    "utils/trouble.py": "/dev/null",
    "utils/partials.py": "writes",
    "training/monitor/loggers.py": "writes; found to be a file before",
    "utils/whole_files.py": "writes",
    "utils/regular_file.py": "the one place",
    "experiments/criteria.py": "comes with the package",
    "experiments/beyond/described.py": "comes with the package",
    "inspection/atlas.py": "comes with the package; read_atlas opens by open_file",
    "report/interactive.py": "comes with the package",
    "report/plotly_script.py": "comes with plotly",
    "images/photos.py": "comes with scikit-image",
    "images/cifar/mirrors.py": "what was just downloaded, into a folder of this process alone",
    "training/machine.py": "/proc/cpuinfo",
    "utils/locks.py": "/proc/locks",
    "filters/formats/keras/reader.py": "/proc/self/statm",
    "filters/formats/keras/model.py": "what open_hdf5 has opened, in a process with a limit of time",
    "filters/formats/archives.py": "opens with only_files",
    "images/array_files.py": "checked before",
    "images/cifar/obtain.py": "found to be files before",
    "images/cifar/tarballs.py": "opens by open_file",
    "images/npz_slices.py": "opens by open_file",
    "images/streams/choice.py": "an open file",
    "cli/clean.py": "found to be a file before",
    "images/streams/decode.py": "found to be a file before",
    "images/streams/image_tables.py": "checked before",
    "images/streams/tars.py": "opens by open_file",
    "patches/storage.py": "found to be a file before",
    "training/run_files.py": "checked before",
    "utils/npz.py": "opens by open_file",
}


def test_only_one_place_opens_what_is_named():
    found = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if any(RAW.search(line.partition("#")[0]) for line in path.read_text().splitlines())
    }
    assert found <= set(ALLOWED)


@pytest.fixture(autouse=True)
def impatience() -> Iterator[None]:
    """Who waits for a pipe is interrupted."""

    def give_up(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def things(tmp_path) -> dict[str, Path]:
    """One of each kind, whatever it is called."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        # Relative: the address of a socket is at most 108 bytes long.
        here = os.open(tmp_path, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    return {"a named pipe": tmp_path / "pipe", "a socket": tmp_path / "socket", "a device": Path("/dev/zero")}


def test_a_thing_that_is_no_file_is_not_opened(things, tmp_path):
    for kind, path in {**things, "a folder": tmp_path}.items():
        with pytest.raises(NotAFile, match=f"^{re.escape(str(path))}: it is {kind}; expected a file: "):
            open_file(path)
        with pytest.raises(InputError):
            check_file(path)
    (tmp_path / "file").write_bytes(b"content")
    with open_file(tmp_path / "file") as file:
        assert file.read() == b"content"


WEIGHTS = "w.npy w.npz w.pt w.safetensors model.safetensors.index.json w.onnx w.h5 w.keras w"
DATA = "d.npy d.npz d.parquet d.arrow d.tar d.tgz d.png d cifar-10-binary.tar.gz"


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device"])
@pytest.mark.parametrize(
    ("names", "command"),
    [
        (WEIGHTS, ["inspect", "NAME"]),
        (WEIGHTS, ["compare", "NAME", "good.npy"]),
        (DATA, ["inspect", "good.npy", "--data", "NAME"]),
        (DATA, ["moments", "NAME", "--kernel-size", "3", "--out", "out.npz"]),
        (DATA, ["reproduce", "label-correlation", "--data", "NAME", "--out", "out"]),
        ("a.json", ["inspect", "good.npy", "--atlas", "NAME"]),
    ],
)
def test_every_command_refuses_it_in_one_line(names, command, kind, things, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("good.npy", np.random.default_rng(0).normal(size=(8, 3, 3, 3)))
    for name in names.split():
        Path(name).symlink_to(things[kind])
        assert main([name if word == "NAME" else word for word in command]) == 2, name
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 1, (name, told)
        assert kind in told[0] or "is no file" in told[0], told
