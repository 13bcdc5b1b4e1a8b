"""The cells of the paper's tables: as published, and tested only where a reproduction was on their data."""

import shlex
from collections import Counter

import pytest

from firstlight.cli.command_line import app
from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.paper_tables import CELLS, DATA_TITLES, NOT_TESTED, cells

# Tables 1 to 3 of the paper, cell by cell: table, data, published.
PUBLISHED = """
1 cifar10   0.99 | 0.98 | -0.13 ± 0.18 | 0.87
1 cifar100  0.97 | 0.98 | -0.04 ± 0.04 | 0.80
1 celeba    0.99 | 0.98 | -0.18 ± 0.13 | 0.92
2 cifar10   0.03 ± 0.22 | 0.90 ± 0.02
2 cifar100  0.14 ± 0.13 | 0.91 ± 0.01
2 celeba    0.08 ± 0.07 | 0.96 ± 0.03
3 imagenet  0.90 ± 0.01
3 cifar10   0.94 ± 0.01 | 0.93 ± 0.01 | 0.91 ± 0.02 | 0.95 ± 0.01 | 0.96 ± 0.005 | 0.96 ± 0.01 | 0.1 ± 0.15
3 celeba    0.96 ± 0.01
"""
# The claims that answer the columns, in their order.
CLAIMS = {1: ["C1", "C2", "C4", "C3"], 2: ["L2", "L1"], 3: ["F1", *["F4"] * 5, "F5"]}
VERDICTS: dict[str, str] = dict.fromkeys(("C1", "C2", "C3", "C4", "L1", "L2", "F1", "F4", "F5"), "reproduced")


def test_they_are_those_of_the_paper():
    found = [(cell.table, cell.data, cell.published, cell.claim) for cell in CELLS]
    expected = []
    for line in PUBLISHED.strip().splitlines():
        table, data, row = line.split(maxsplit=2)
        claims = [None] if data == "imagenet" else CLAIMS[int(table)]
        expected += [
            (int(table), data, value.strip(), claim) for value, claim in zip(row.split("|"), claims, strict=False)
        ]
    assert found == expected


def test_there_are_27_of_which_13_are_on_cifar10():
    assert Counter(cell.data for cell in CELLS) == {"cifar10": 13, "cifar100": 6, "celeba": 7, "imagenet": 1}
    assert len({(cell.table, cell.data, cell.column) for cell in CELLS}) == len(CELLS) == 27


def test_the_five_pairs_are_those_of_table_3():
    pairs = {cell.column.removeprefix("eq. 3, "): cell.published for cell in CELLS if cell.claim == "F4"}
    assert pairs == {
        "automobile/truck": "0.93 ± 0.01",
        "dog/frog": "0.91 ± 0.02",
        "dog/cat": "0.95 ± 0.01",
        "bird/airplane": "0.96 ± 0.005",
        "ship/airplane": "0.96 ± 0.01",
    }


@pytest.mark.parametrize(("data", "tested"), [("cifar10", 13), ("cifar100", 6), ("celeba", 7), ("photos", 0)])
def test_a_reproduction_tests_the_cells_of_its_data_and_no_other(data, tested):
    found = cells(data, VERDICTS)
    assert [row.published for row in found] == [cell.published for cell in CELLS]
    assert {row.data for row in found if row.state == "reproduced"} <= {DATA_TITLES.get(data)}
    assert Counter(row.state for row in found) == Counter({"reproduced": tested, NOT_TESTED: 27 - tested})


def test_the_state_is_the_verdict_of_the_claim():
    found = cells("cifar10", {"C4": "inconclusive", "L1": "not reproduced"})
    assert {(row.claim, row.state) for row in found if row.state != NOT_TESTED} == {
        ("C4", "inconclusive"),
        ("L1", "not reproduced"),
    }


@pytest.mark.parametrize("row", cells("photos", VERDICTS), ids=lambda row: f"{row.table} {row.data} {row.column}")
def test_what_is_not_tested_says_with_which_command_it_would_be(row):
    """One sentence, whose command this program takes."""
    assert row.data in row.needed
    assert "\n" not in row.needed
    command = row.needed.partition(": ")[2].removesuffix(" for each network")
    program, *words = shlex.split(command)
    assert program == "firstlight"
    called, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert set(bound.arguments.get("experiments", ())) <= set(EXPERIMENTS)
    assert called.__name__ == ("inspect" if row.claim is None else "reproduce")


def test_what_is_tested_needs_nothing():
    assert {row.needed for row in cells("cifar10", VERDICTS) if row.state != NOT_TESTED} == {""}
