"""Every command, on machines and with files that are not as they should be: each cell of the matrix is right."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from tests.cli.matrix_child import COMMANDS, CONDITIONS

from firstlight.cli import app

SLOW = ("reproduce", "figures", "inspect, page", "watch, page")
WITHOUT_INPUTS = ("data list", "runs list", "runs show", "runs clean", "clean", "reproduce, list", "figures")
# Which exit codes are right, and whether what is asked for is there.
DONE, REFUSED, EITHER = (0,), (2,), (0, 2)
RIGHT = {
    "as usual": DONE,
    "disk full": REFUSED,
    "folder read-only": REFUSED,
    "cache is no folder": DONE,
    "no HOME, LANG=C": DONE,
    "little memory": EITHER,
    "names that are no text": DONE,
    "pipes for inputs": REFUSED,
}
QUICK = tuple(name for name in COMMANDS if name not in SLOW)


@pytest.mark.parametrize(
    "names", [pytest.param(QUICK, id="quick"), pytest.param(SLOW, id="slow", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_command_ends_as_it_should(condition: str, names: tuple[str, ...], inputs: Path, tmp_path: Path):
    folder, home = tmp_path / "here", tmp_path / "home"
    shutil.copytree(inputs, folder)
    environment, before = dict(os.environ), []
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    if condition == "cache is no folder":
        home.mkdir()
        (home / "cache").write_text("no folder")
    elif condition == "no HOME, LANG=C":
        environment = {k: v for k, v in environment.items() if k not in ("HOME", "XDG_CACHE_HOME", "LC_ALL")}
        environment |= {"LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    elif condition == "folder read-only":
        folder.chmod(0o555)
        if os.geteuid() == 0:  # whom no permission stops
            if shutil.which("setpriv") is None:
                pytest.skip("setpriv is not there to take the rights of root away")
            before = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    cells = json.loads(started(before, [condition, *names], folder, environment))
    wrong = {name: cells[name] for name in names if not is_right(condition, name, cells[name])}
    assert not wrong, json.dumps(wrong, indent=1)


def is_right(condition: str, name: str, cell: dict[str, Any]) -> bool:
    codes = DONE if condition == "pipes for inputs" and name in WITHOUT_INPUTS else RIGHT[condition]
    said = cell["said"].splitlines()
    # What could not be inspected is told in the output, too.
    written = [True, False] if (condition, name) == ("pipes for inputs", "inspect") else [cell["code"] == 0]
    return (
        cell["code"] in codes
        and cell["written"] in written
        and not cell["changed"]
        and not cell["left"]
        and all(line.startswith("firstlight: ") for line in said)
        and any(line.startswith("firstlight: error: ") for line in said) == (cell["code"] == 2)
        and cell["seconds"] < 120
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    whole = any("slow" in item.keywords for item in request.session.items if item.path == request.path)
    started([], ["inputs", *(["whole"] if whole else [])], folder, dict(os.environ))
    return folder


def started(before: list[str], arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    root = Path(__file__).parents[2]
    environment = {"OMP_NUM_THREADS": "1", **environment, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    command = [*before, sys.executable, "-m", "tests.cli.matrix_child", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands_of(of: App, before: str = "") -> Iterator[str]:
    for name in of:
        if not name.startswith("-"):
            inner = list(commands_of(of[name], f"{before}{name} "))
            yield from inner or [f"{before}{name}"]


def test_every_command_is_in_the_matrix():
    there = {command for command, _ in COMMANDS.values()}
    missing = [name for name in commands_of(app) if not any(f"{one} ".startswith(f"{name} ") for one in there)]
    assert missing == ["data fetch"]  # which writes nothing but the cache: tests/images/cifar
