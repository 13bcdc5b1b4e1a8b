"""One reproduction of tiny trainings, which takes most of the room's time, for all that look at what one leaves."""

from pathlib import Path

import pytest
from rich.console import Console
from tests.small_data import TINY, write_data

import firstlight as fl
from firstlight.experiments.schedule import SCHEDULES


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def found(data: Path, tmp_path_factory: pytest.TempPathFactory) -> fl.Reproduction:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCHEDULES, "quick", TINY)
        return fl.reproduce(
            ["formula"], data=data, device="cpu", out=tmp_path_factory.mktemp("out"), console=Console(quiet=True)
        )
