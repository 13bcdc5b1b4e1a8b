"""Options before files: lists of values end where these end."""

from pathlib import Path

import numpy as np
import pytest

from firstlight import cli
from firstlight.cli.command_line import app
from firstlight.cli.lists import VALUES, lists_last


@pytest.fixture
def net(tmp_path: Path) -> str:
    np.save(tmp_path / "net.npy", np.random.default_rng(0).normal(size=(16, 3, 3, 3)))
    return str(tmp_path / "net.npy")


def test_every_list_option_is_known():
    commands = [app[name] for name in ("inspect", "compare", "moments", "theory", "reproduce", "figures")]
    commands.append(app["runs"]["clean"])
    taking = [argument for one in commands for argument in one.assemble_argument_collection()]
    names = {name for argument in taking if argument.parameter.consume_multiple for name in argument.names}
    assert names == set(VALUES)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("compare a --mean .5 .4 b --std=1 2 c", "compare a b c --mean .5 .4 --std=1 2"),
        ("theory --steps 1 1e4 inf --lr 0.1", "theory --lr 0.1 --steps 1 1e4 inf"),
        ("moments --resources GPU=1 M=2 x --crop 8", "moments x --resources GPU=1 M=2 --crop 8"),
        ("inspect --mean net.pth", "inspect --mean net.pth"),
        ("inspect --mean .5 -- --std 3", "inspect --mean .5 -- --std 3"),
        ("inspect --mean -.5 -1 net.pth --json -", "inspect net.pth --json - --mean -.5 -1"),
    ],
)
def test_they_go_behind_the_others(given: str, expected: str):
    assert lists_last(given.split()) == expected.split()


def test_a_file_may_stand_behind_them(net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    before = ["inspect", "--mean", "0.5", "0.4", "0.3", "--std", "0.2", net]
    after = ["inspect", net, "--mean", "0.5", "0.4", "0.3", "--std", "0.2"]
    assert [cli.main(before), capsys.readouterr()] == [cli.main(after), capsys.readouterr()]

    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (9, 3, 20, 20), dtype=np.uint8))
    command = ["--kernel-size", "3", "--out", str(tmp_path / "m.npz")]
    assert cli.main(["moments", "--resize", "16", "16", str(tmp_path / "images.npy"), *command]) == 0


def test_a_list_without_a_number_is_refused(net: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["inspect", "--mean", net]) == 2
    assert "--mean" in capsys.readouterr().err
