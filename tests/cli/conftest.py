"""Commands run in the process of the tests, where a process of their own is not what is tested."""

import subprocess
from collections.abc import Callable

import pytest

from firstlight import cli


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in this process: a second less for each."""

    def run_here(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = cli.main(arguments)
        out, errors = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, errors)

    return run_here
