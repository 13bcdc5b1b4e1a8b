"""Workflows, hooks and the guide for contributors run commands that the project has, with few rights and in bounds."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEXTS = [*WORKFLOWS, ROOT / ".pre-commit-config.yaml", ROOT / "CONTRIBUTING.md", ROOT / ".ci/run"]


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.SafeLoader)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_make_command_exists(path: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = [name for words in re.findall(r"\bmake((?: [a-z-]+)+)", _commands(path)) for name in words.split()]
    assert called
    assert set(called) <= targets


def _commands(path: Path) -> str:
    """What runs: of a workflow its steps, of prose what is set as code, else all."""
    if path in WORKFLOWS:
        return "\n".join(step.get("run", "") for job in load(path)["jobs"].values() for step in job["steps"])
    return "\n".join(re.findall(r"`([^`]+)`", path.read_text())) if path.suffix != "" else path.read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_read_only_end_in_time_and_pin_their_actions(path: Path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60
        assert job.get("permissions", {}) == ({"id-token": "write"} if name == "publish" else {})
        for action in (step["uses"] for step in job["steps"] if "uses" in step):
            assert re.fullmatch(r"[\w/-]+@(v\d+|release/v\d+)", action), action


def test_hooks_are_the_commands_of_make_lint_and_make_types():
    recipes = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    hooks = [hook for repo in load(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    for hook in hooks:
        assert hook["entry"].replace(" --force-exclude", "") in recipes


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(("target", "expected"), [("demo", [".[photos]"]), ("test", [".[photos]", ".[dev]"])])
def test_the_demo_installs_what_it_needs_and_the_tests_what_they_need_on_top(target: str, expected: list[str]):
    command = ["make", "--dry-run", "--always-make", target]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"pip install .* -e '(.*)'", printed) == expected
