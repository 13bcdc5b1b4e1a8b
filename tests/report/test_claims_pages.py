"""Claims in Markdown and as data: the README's table, `claims.md`, `claims.json` as it is described."""

import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from tests.report.made_claims import NO_RUN, made

from firstlight.experiments.criteria import CRITERIA
from firstlight.report.claim_lines import headline
from firstlight.report.claims_data import claims_data
from firstlight.report.claims_in_full import claims_in_full
from firstlight.report.claims_pages import claims_markdown, readme_block

ROOT = Path(__file__).parents[2]
SUMMARY = "17 of 22 published claims reproduced; 1 not reproduced, 1 inconclusive, 3 not tested on cifar10"


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_readme_shows_the_short_table():
    text = readme_block(made())
    rows = [cells(line) for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == [row.criterion.id for row in headline(made())]
    assert {len(row) for row in rows} == {7}
    (both,) = [row for row in rows if row[0] == "C1"]
    assert both == [
        "C1",
        CRITERIA["C1"].statement,
        "0.99 (VGG11)",
        "VGG11: 0.927 [0.864, 0.989]<br>ResNet20: 0.817 [0.558, 1.075]",
        r"0.967\*<br>0.600",
        "91%<br>91%",
        "**inconclusive**",
    ]
    assert next(row for row in rows if row[0] == "L3")[6] == "**not tested** (untrained)"
    assert text.startswith(f"**{SUMMARY}.**")
    assert text.count("\n\n") == 2  # summary, table, legend


def test_the_cells_of_the_papers_tables_are_all_there():
    cells_of_all = claims_data(made())["cells"]
    assert len(cells_of_all) == 27
    untested = [cell for cell in cells_of_all if cell["needed"]]
    assert len(untested) == 14
    assert not claims_data(made(("linear",)))["cells"]


def test_old_records_are_shown_as_such():
    old = made(first_version=True)
    for text in (readme_block(old), claims_markdown(old)):
        assert "Recorded by the first version, judged by the second criteria." in text
    assert "first version, judged" not in readme_block(made())


def test_claims_in_full_have_interval_null_criterion_and_reason():
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        for paragraph in claims_in_full(made()):
            console.print(paragraph)
    text = re.sub(r" +\n", "\n", capture.get())
    for said in (
        "C1 every seed learns the same profile: VGG11: reproduced",
        "mean correlation of profiles over pairs of seeds: at least 0.89 for VGG11, 0.8 for ResNet20; 30 epochs",
        "measured: 0.927 [0.864, 0.989] (3 seeds)",
        "by seed: 0.900, 0.950, 0.930",
        "conditions: r, at least 0.8: 0.927 [0.864, 0.989] (holds)",
        "after one step: 0.967 (holds already)",
        "λ alone: 0.710",
        "null: 0.200, 95th percentile 0.500 (200 random banks)",
        "accuracy: ResNet20 91.0%, 70.0% on test images at step 5,850 (needed 30%)",
        "first version: reproduced, 0.992 ± 0.004 (3 pairs)",
        f"why: {NO_RUN}",
        "A [note] | on C1.",
    ):
        assert said in text


def described(heading: str) -> set[str]:
    """The keys in the table of docs/report.md that follows these words."""
    section = (ROOT / "docs" / "report.md").read_text().split("## claims.json\n")[1].split("\n## ")[0]
    rows = section.split(heading)[1].lstrip().split("\n\n")[0].splitlines()[2:]
    return {key for row in rows for key in re.findall(r"`(\w+)`", cells(row)[0])}


def test_claims_json_has_the_keys_that_are_described():
    data = json.loads(json.dumps(claims_data(made()), allow_nan=False))
    assert set(data) == described("not\nknown are null.")
    assert {key for claim in data["claims"] for key in claim} == described("or a part of one:")
    assert {key for row in data["rows"] for key in row} == described("A row of the criteria:")
    assert {key for cell in data["cells"] for key in cell} == described("that these experiments answer:")
    assert data["format"] == 2
    assert data["summary"] == SUMMARY
    assert data["counts"] == {"reproduced": 17, "not reproduced": 1, "inconclusive": 1, "not tested": 3}
    assert len(data["rows"]) == len(CRITERIA)
    (row,) = [row for row in data["rows"] if row["id"] == "C1"]
    assert row == {
        "id": "C1",
        "verdict": "inconclusive",
        "claims": ["C1", "C1.resnet20"],
        "command": "firstlight reproduce consistency --preset full --fresh",
    }
    ids = {claim["id"] for claim in data["claims"]}
    assert all(name in ids for row in data["rows"] for name in row["claims"])


NUMBER = r"(-?\d+(?:\.\d+)?)"
COMPARED = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}


def criteria_table() -> dict[str, list[str]]:
    text = (ROOT / "docs" / "criteria.md").read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| [A-Z]\d \|", line)]
    # One quantity has bars in it: the criterion is what stands behind the last one.
    return {row.split(" | ")[0].strip("| "): row.strip("| ").split(" | ") for row in rows}


@pytest.mark.parametrize("name", list(criteria_table()))
def test_the_criteria_are_those_of_the_page(name):
    """The same thresholds, on the same side, and the kind."""
    row, criterion = criteria_table()[name], CRITERIA[name]
    assert criterion.kind == ("numerical check" if row[-1] == "numerical check" else "published claim")
    asked = " ".join(row[-2:]) if name == "S1" else row[-1]
    sides = re.findall(rf"(?<!d )([<>]=?) {NUMBER}", asked)
    others = [rf"{NUMBER} to", *(rf"{word} {NUMBER}" for word in (r"\+-", "to", "below", "factor"))]
    numbers = {number for _, number in sides} | {number for other in others for number in re.findall(other, asked)}
    if criterion.kind == "published claim":
        assert numbers == set(re.findall(rf"(?<![_\w.]){NUMBER}", criterion.criterion)), (asked, criterion.criterion)
    for side in {side for side, _ in sides}:
        assert COMPARED[side] in criterion.criterion


def test_the_page_has_every_published_claim_and_every_kind():
    assert {name for name, one in CRITERIA.items() if one.kind == "published claim"} | {"W4"} == set(criteria_table())
    text = (ROOT / "docs" / "criteria.md").read_text()
    (kinds,) = re.findall(r"^- Kinds: .*", text, re.MULTILINE)
    assert {one.kind for one in CRITERIA.values()} <= set(re.findall(r"\*([\w ]+)\*", kinds))
    assert text.index("# Criteria, second version") < 200
