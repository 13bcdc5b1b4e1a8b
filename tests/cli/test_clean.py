"""`clean` shows what killed commands left, removes it with --yes, and touches nothing else."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from tests.utils.test_partials import end, writing

from firstlight import cli

HASH = "0123456789abcdef"


@pytest.fixture
def litter(tmp_path: Path, monkeypatch) -> list[str]:
    """A folder as kills leave it; what is to go."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(tmp_path / "cache"))
    end(writing(tmp_path / "results" / "o.npz"))
    (part,) = Path("results").iterdir()
    old = [f"firstlight-out/runs/.part-{HASH}", "cache/cifar10/.part-scratch-a1_b2c3d"]
    for folder in (
        *old,
        f"firstlight-out/runs/.part-{HASH}-77",
        "results/.part-mine",
        "results/.part-scratch-abcdefgh",
    ):
        Path(folder).mkdir(parents=True)
        Path(folder, "half").write_text("half")
    for path in [each for one in old for each in (*Path(one).iterdir(), Path(one))]:
        os.utime(path, (0.0, time.time() - 4000))
    Path("results/.part-notes").write_text("mine")
    np.savez("results/state.npz", done=[True])
    Path("results/state.npz").rename("results/state.npz.part")
    return [str(part), *old]


def everything() -> set[str]:
    return {str(path) for path in Path().rglob("*")}


def told(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_shown_first_and_removed_with_yes(litter: list[str], capsys):
    before = everything()
    where = ["results", "cache", "firstlight-out"]
    assert cli.main(["clean", *where]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[2] for line in shown.splitlines() if line.startswith("would remove")] == [
        litter[0],
        str(Path(litter[2])),
        litter[1],
    ]
    assert "kept results/state.npz.part: the same `moments` goes on from there" in shown
    assert "--yes" in shown
    assert everything() == before
    assert cli.main(["clean", *where, "--yes", "--json", "-"]) == 0
    found = told(capsys)
    assert found["removed"]
    assert {one["path"] for one in found["unfinished"]} == set(litter)
    assert found["states"] == ["results/state.npz.part"]
    assert before - everything() == {*litter, *(f"{folder}/half" for folder in litter[1:])}
    assert cli.main(["clean", *where, "--yes"]) == 0
    assert "nothing to remove in results, cache, firstlight-out" in capsys.readouterr().out


def test_without_a_folder_the_cache_and_the_usual_results(litter: list[str], capsys):
    assert cli.main(["clean", "--json", "-"]) == 0
    assert {Path(one["path"]).name for one in told(capsys)["unfinished"]} == {Path(one).name for one in litter[1:]}


def test_what_is_being_written_stays(tmp_path: Path, capsys):
    child = writing(tmp_path / "o.npz")
    try:
        assert cli.main(["clean", str(tmp_path), "--yes"]) == 0
        assert len(list(tmp_path.iterdir())) == 1
    finally:
        end(child)
    assert cli.main(["clean", str(tmp_path), "--yes"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_told(tmp_path: Path, capsys):
    assert cli.main(["clean", str(tmp_path / "missing")]) == 2
    assert "missing is no folder" in capsys.readouterr().err
