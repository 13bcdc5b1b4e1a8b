"""An output never destroys what it is not: inputs, other files, devices, pipes, links; and all is seen beforehand."""

import json
import os
import shlex
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firstlight import cli
from firstlight.patches import PatchMoments

RNG = np.random.default_rng(0)
COMMANDS = {
    "inspect": "inspect w.npy --json {}",
    "inspect csv": "inspect w.npy --csv {}",
    "inspect html": "inspect w.npy --html {}",
    "compare": "compare w.npy v.npy --json {}",
    "compare csv": "compare w.npy v.npy --csv {}",
    "compare html": "compare w.npy v.npy --html {}",
    "watch": "watch w.npy --every 1s --once --json {}",
    "watch csv": "watch w.npy --every 1s --once --csv {}",
    "watch html": "watch w.npy --every 1s --once --html {}",
    "moments": "moments data.npz --kernel-size 3 --out m.npz --json {}",
    "moments broken": "moments data.npz --kernel-size 3 --out m.npz --broken {}",
    "moments plan": "moments data.npz --kernel-size 3 --plan --json {}",
    "theory": "theory --data photos --json {}",
    "data list": "data list --json {}",
    "runs list": "runs list --out results --json {}",
    "runs clean": "runs clean --out results --json {}",
    "atlas list": "atlas list --json {}",
    "atlas check": "atlas check --json {}",
    "reproduce list": "reproduce --list --json {}",
}
Run = Callable[[str], tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capfd) -> Run:
    """Runs a command in a folder with weights, data and a folder of results; exit code and all that it says."""
    monkeypatch.chdir(tmp_path)
    for name in ("w", "v"):
        np.save(f"{name}.npy", RNG.normal(size=(8, 3, 3, 3)))
    np.savez("data.npz", images=RNG.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8))
    Path("results/runs").mkdir(parents=True)

    def main(command: str) -> tuple[int, str]:
        code = cli.main(shlex.split(command))
        said = capfd.readouterr()
        return code, said.out + said.err

    return main


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_every_output_replaces_an_earlier_one_and_nothing_else_unless_forced(run: Run, command: str):
    assert run(command.format("out"))[0] == 0
    assert run(command.format("out"))[0] == 0
    before = Path("out").read_bytes()
    for foreign in (
        b"a thesis\n",
        b'{"data": [1]}',
        b'{\n  "data": [1]',
        b"source,target\n1,2\n",
        b"<!doctype html>\n<title>x</title>",
    ):
        Path("out").write_bytes(foreign)
        code, said = run(command.format("out"))
        assert code == 2
        assert "out, a file that is no earlier output of this command; expected a new one: name" in said
        assert Path("out").read_bytes() == foreign
    assert run(command.format("out") + " --force")[0] == 0
    assert Path("out").read_bytes()[:20] == before[:20]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_no_output_replaces_a_device_or_is_a_folder(run: Run, command: str):
    assert run(command.format("/dev/null"))[0] == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    Path("folder").mkdir()
    code, said = run(command.format("folder"))
    assert code == 2
    assert "folder is a folder; expected the name of a file" in said
    assert run(command.format("''"))[0] == 2


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("inspect w.npy --json {}", "w.npy"),
        ("inspect w.npy --html {}", "../{folder}/w.npy"),
        ("inspect w.npy --initial v.npy --csv {}", "v.npy"),
        ("inspect w.npy --initial v.npy --csv {}", "hard"),
        ("inspect w.npy --initial v.npy --csv {}", "soft"),
        ("inspect w.npy --data data.npz --json {}", "data.npz"),
        ("inspect w.npy --data images --json {}", "images/1.npy"),
        ("inspect w.npy --data images --json {}", "elsewhere.npy"),
        ("inspect w.npy --atlas a.json --json {}", "a.json"),
        ("inspect m.onnx --json {}", "m.onnx_data"),
        ("compare w.npy v.npy --csv {}", "w.npy"),
        ("moments data.npz --kernel-size 3 --out {}", "data.npz"),
        ("moments data.npz --kernel-size 3 --out m.npz --json {}", "data.npz"),
        ("moments data.npz --kernel-size 3 --stderr --filters w.npy --out m.npz --json {}", "w.npy"),
        ("theory --data data.npz --json {}", "data.npz"),
        ("atlas list --atlas a.json --json {}", "a.json"),
        ("atlas add w.npy --atlas {}", "w.npy"),
        ("runs list --out results --json {}", "results/runs/mine"),
    ],
)
@pytest.mark.parametrize("force", ["", " --force"])
def test_what_a_command_reads_is_never_its_output_by_whatever_path(run: Run, command: str, output: str, force: str):
    if command.startswith("atlas add") and force:
        pytest.skip("it has no such option")
    os.link("v.npy", "hard")
    os.symlink("v.npy", "soft")
    Path("images").mkdir()
    np.save("images/1.npy", np.zeros((3, 3, 16, 16), np.uint8))
    np.save("elsewhere.npy", np.zeros((3, 3, 16, 16), np.uint8))
    os.symlink("../elsewhere.npy", "images/2.npy")
    Path("m.onnx").write_bytes(b"its weights are in m.onnx_data")
    for name in ("m.onnx_data", "a.json", "results/runs/mine"):
        Path(name).write_bytes(b"mine")
    before = files()
    code, said = run(command.format(output.format(folder=Path.cwd().name)) + force)
    assert code == 2
    assert "which this command reads; expected another file" in said
    assert files() == before


def test_links_are_followed_and_kept(run: Run):
    Path("target").touch()
    os.symlink("target", "link")
    os.symlink("new", "dangling")
    for name, target in (("link", "target"), ("dangling", "new")):
        assert run(f"inspect w.npy --json {name}")[0] == 0
        assert os.readlink(name) == target
        assert json.loads(Path(target).read_text())[0]["source"] == "w.npy"


def test_a_pipe_is_written_into(run: Run):
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    assert run("inspect w.npy --json pipe")[0] == 0
    reader.join()
    assert json.loads(read[0])[0]["source"] == "w.npy"
    ours, theirs = os.pipe()
    assert run(f"inspect w.npy --json /dev/fd/{theirs}")[0] == 0
    assert json.loads(os.read(ours, 1 << 16))[0]["source"] == "w.npy"
    for end in (ours, theirs):
        os.close(end)


def test_a_pipe_that_nobody_reads_is_waited_for_only_so_long(run: Run, monkeypatch):
    monkeypatch.setattr("firstlight.utils.targets._READER_SECONDS", 0.1)
    os.mkfifo("pipe")
    code, said = run("inspect w.npy --json pipe")
    assert code == 2
    assert "expected one that somebody reads: start the reader first" in said


@pytest.mark.parametrize("option", ["--json", "--csv", "--html"])
def test_a_dash_is_standard_output_and_nothing_else_is_there(run: Run, option: str):
    code, said = run(f"inspect w.npy {option} -")
    assert code == 0
    assert run(f"inspect w.npy {option} file")[0] == 0
    written = Path("file").read_text()
    assert said.replace(" -</code>", " file</code>") == written if option != "--html" else said.startswith("<!doctype")
    assert not Path("-").exists()


def test_moments_go_through_a_pipe_with_the_same_bytes(run: Run):
    ours, theirs = os.pipe()
    for name in (f"/dev/fd/{theirs}", "m.npz"):
        assert run(f"moments data.npz --kernel-size 3 --out {name}")[0] == 0
    assert os.read(ours, 1 << 16) == Path("m.npz").read_bytes()
    for end in (ours, theirs):
        os.close(end)
    assert run("moments data.npz --kernel-size 3 --out - --json -")[0] == 2
    code, said = run("moments data.npz --kernel-size 3 --out -")
    assert code == 0
    assert said.startswith("PK")
    assert PatchMoments.load("m.npz").count == 20 * 14 * 14


def test_an_atlas_is_printed(run: Run):
    code, said = run("atlas build w.npy --out -")
    assert code == 0
    assert run("atlas build w.npy --out a.json -q")[0] == 0
    assert said == Path("a.json").read_text()


@pytest.mark.parametrize(
    "outputs",
    ["--json a --csv a", "--csv a --html ./a", "--json - --csv -", "--json a --html b", "--json a --csv a/c"],
)
def test_two_outputs_are_two_files(run: Run, outputs: str):
    os.symlink("a", "b")
    code, said = run(f"inspect w.npy {outputs}")
    assert code == 2
    assert "expected two files: name another" in said
    assert not Path("a").exists()


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("w.npy/x", "Not a directory"),
        ("x" * 256, "File name too long); expected a name that the file system can hold: give a shorter one"),
        ("new/" + "x" * 256, "File name too long"),
        ("protected", "protected is protected from being written"),
        ("socket", "is a socket"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(run: Run, monkeypatch, output: str, told: str):
    import socket

    Path("protected").touch(mode=0o444)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        monkeypatch.setattr("firstlight.inspection.inspect_banks.load_banks", lambda *_: pytest.fail("work was done"))
        before = files()
        code, said = run(f"inspect w.npy --json {output}")
    assert code == 2
    assert told in said
    assert ".part-" not in said
    assert len(said.splitlines()) == 1
    assert files() == before


def test_folders_of_output_hold_nothing_else_of_these_names(run: Run):
    Path("x").mkdir()
    assert run("theory --data photos --out .")[0] == 0
    assert run("theory --data photos --out .")[0] == 0
    for name in ("theory.csv", "theory.svg", "theory.png"):
        Path(name).write_text("mine")
        code, said = run("theory --data photos --out .")
        assert code == 2
        assert f"{name}, a file that is no earlier output" in said
        assert run("theory --data photos --out . --force")[0] == 0
    for out, told in (("-", "several files are written"), ("results", "which this command reads")):
        for command in ("theory", "reproduce"):
            assert told in run(f"{command} --data results --out {out}")[1]
    for command in (
        "figures --out '' formula",
        "theory --out ''",
        "reproduce --recorded --out ''",
        "theory --out w.npy",
    ):
        assert run(command)[0] == 2


def test_a_reproduction_is_written_into_a_folder_of_its_own(run: Run, monkeypatch):
    monkeypatch.setattr("firstlight.reproduction.record.recorded", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    page = '<!doctype html>\n<html lang="en" class="no-js">\n<head>\n<meta charset="utf-8">\n'
    earlier = {"claims.json": '{\n  "format": 2', "reproduction.json": '{\n  "command": "x"', "report.html": page}
    for name, content in {**earlier, "claims.md": "5 of 8"}.items():
        Path(name).write_text(content)
    assert run("reproduce linear --recorded --out .")[0] == 130  # it was begun
    Path("claims.json").write_text('{"format": "my own"}')
    code, said = run("reproduce linear --recorded --out .")
    assert code == 2
    assert "claims.json, a file that is no earlier output" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", ["inspect w.npy", "inspect w.npy --json -", "data list", "--help"])
def test_a_full_disk_behind_standard_output_is_told_in_one_line(run: Run, command: str):
    with open("/dev/full", "w") as full:
        program = str(Path(sys.executable).with_name("firstlight"))
        done = subprocess.run([program, *command.split()], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "firstlight: error: standard output cannot be written (No space left on device); expected room for the file"
    )
    assert "Exception" not in done.stderr
