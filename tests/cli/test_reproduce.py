"""`reproduce` on the command line: one table, all claims where asked for, JSON, and what it ends with."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.made_claims import made

from firstlight import cli
from firstlight.errors import RunError
from firstlight.report.claims_data import claims_data

RECORDED = "firstlight.reproduction.record.recorded"


@pytest.fixture
def kept(monkeypatch) -> list[tuple[str, ...]]:
    """The record is one that was made by hand; which experiments were asked of it."""
    asked: list[tuple[str, ...]] = []

    def recorded(names=(), **_: object):
        asked.append(tuple(names))
        return made(tuple(names)) if names else made()

    monkeypatch.setattr(RECORDED, recorded)
    monkeypatch.setattr("firstlight.reproduction.folder.write_reproduction", lambda *_, **__: None)
    monkeypatch.setenv("COLUMNS", "120")
    return asked


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert cli.main(["reproduce", *arguments]) == code
    return re.sub(r" +\n", "\n", capsys.readouterr().out)


@pytest.mark.usefixtures("kept")
def test_one_screen_with_the_table_and_the_summary(capsys):
    lines = shown(capsys, "--recorded", "--out", "x").splitlines()
    assert len(lines) <= 50
    assert len([line for line in lines if re.match(r"[A-Z]\d ", line)]) == 12
    assert lines[-2].startswith("17 of 22 published claims reproduced; 1 not reproduced, 1 inconclusive, 3 not tested")
    assert lines[-1] == "Report: x/report.html"
    assert not any("λ alone:" in line for line in lines)


@pytest.mark.usefixtures("kept")
def test_verbose_tells_all_of_every_claim(capsys):
    text = shown(capsys, "--recorded", "--out", "x", "--verbose")
    assert len(re.findall(r"^[A-Z]\d +[^ ].* (?:yes|no|-)$", text, re.MULTILINE)) == 21  # and two rows with parts
    assert "linear: assumptions 1 violated; checks 3 hold; own findings 1 holds" in text
    for claim in made().claims:
        assert f"  {claim.id} {claim.title}"[:90] in text
    assert "λ alone: 0.710" in text
    assert "null: 0.200, 95th percentile 0.500 (200 random banks)" in text


@pytest.mark.usefixtures("kept")
def test_the_exit_code_tells_verdicts_only_where_they_are_asked_for(capsys):
    shown(capsys, "--recorded", "--out", "x")
    shown(capsys, "--recorded", "--out", "x", "--check", code=1)
    shown(capsys, "--recorded", "consistency", "--out", "x", "--check", code=1)  # inconclusive
    shown(capsys, "--recorded", "frozen", "label-energy", "--out", "x", "--check")  # not tested
    shown(capsys, "--recorded", "labels", "--out", "x", "--check")


@pytest.mark.usefixtures("kept")
def test_json_is_what_claims_json_holds(capsys, tmp_path):
    assert json.loads(shown(capsys, "--recorded", "--out", "x", "--json", "-")) == claims_data(made())
    path = tmp_path / "found.json"
    assert "eq. 3 fits VGG11" in shown(capsys, "--recorded", "--out", "x", "--json", str(path))
    assert json.loads(path.read_text()) == claims_data(made())


def test_what_was_trained_here_stands_beside_what_is_recorded(kept, capsys, monkeypatch):
    given = {}

    def reproduce(names, **options):
        given.update(options)
        return replace(made(tuple(names), preset="quick", device=["cpu AVX2, torch 2"]), out=Path("here"))

    monkeypatch.setattr("firstlight.reproduction.reproduction.reproduce", reproduce)
    text = shown(capsys, "labels", "--fresh")
    assert given["fresh"] is True
    assert kept == [("labels",)]
    assert "(30 epochs, H200)" in " ".join(text.split())
    assert "trained here" in text
    shown(capsys, "labels")
    assert given["fresh"] is False


@pytest.mark.usefixtures("kept")
def test_a_record_that_cannot_be_read_is_only_told(capsys, monkeypatch):
    def damaged(*_: object, **__: object):
        raise RunError("record.json is damaged")

    monkeypatch.setattr("firstlight.reproduction.reproduction.reproduce", lambda names, **_: made(tuple(names)))
    monkeypatch.setattr(RECORDED, damaged)
    assert cli.main(["reproduce", "labels"]) == 0
    told = capsys.readouterr()
    assert "trained here" not in told.out
    assert told.err == "firstlight: the recorded results are not shown: record.json is damaged\n"


def test_the_list_has_the_cost_of_every_preset(capsys):
    (one,) = json.loads(shown(capsys, "--list", "frozen", "--json", "-"))
    assert one["name"] == "frozen"
    assert set(one["costs"]) == {"quick", "standard", "full"}
    assert "6 networks" in one["costs"]["full"]
