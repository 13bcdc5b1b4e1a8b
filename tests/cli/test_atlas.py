"""`firstlight atlas`: a collection of one's own, from real files to `inspect --atlas`."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.test_filters import weights

from firstlight import cli


@pytest.fixture
def nets(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        np.save(f"net{number}.npy", weights(number, tau=0.1 * 4**number))
    return tmp_path


def test_build_add_list_check_and_inspect(nets: Path, capsys):
    names = [f"net{number}.npy" for number in range(5)]
    assert cli.main(["atlas", "build", *names, "--family", "made", "--out", "mine.json"]) == 0
    assert "5 networks added" in capsys.readouterr().out
    assert cli.main(["atlas", "build", *names, "--out", "mine.json"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main(["atlas", "add", "net5.npy", "net0.npy", "lacks.npy", "--atlas", "mine.json"]) == 2
    assert "lacks.npy does not exist" in capsys.readouterr().err
    assert cli.main(["atlas", "list", "--atlas", "mine.json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6  # net0 once
    assert cli.main(["atlas", "check", "--atlas", "mine.json", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"]["entries"] == 6
    assert cli.main(["inspect", "net3.npy", "--atlas", "mine.json", "--json", "-"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["standing"]["nearest"]["name"] in ("net2.npy", "net4.npy")  # and not itself
    assert found["standing"]["networks"] == 5


def test_the_packages_own_is_listed_and_checked(capsys):
    assert cli.main(["atlas", "list"]) == 0
    assert "ResNet20 of akamaster: 16 filters of 3 x 3" in capsys.readouterr().out
    assert cli.main(["atlas", "check"]) == 0
    assert "drawn at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["build", "--out", "x.json"], "atlas was given no source"),
        (["add", "net0.npy", "--atlas", "net1.npy"], "is damaged, or no atlas"),
        (["list", "--atlas", "lacks.json"], "is no file; expected an atlas"),
    ],
)
def test_bad_input_is_one_line(nets: Path, capsys, arguments, error):
    assert cli.main(["atlas", *arguments]) == 2
    printed = capsys.readouterr().err
    assert error in printed
    assert printed.count("\n") == 1
