"""The table of `reproduce`: every published claim once, its parts beneath, and no wider than the terminal."""

import re

import pytest
from rich.console import Console
from tests.report.made_claims import NULL, claim, made

from firstlight.report.claim_lines import LEGEND, OLD_RECORD, Line, below_table, published_rows, repeat
from firstlight.report.headline_table import headline_table, how_recorded

VERDICTS = ("reproduced", "not reproduced", "inconclusive", "not tested", "holds")


def shown(width: int, recorded=None, color: bool = False, full: bool = True) -> str:
    console = Console(
        width=width, no_color=not color, force_terminal=color, color_system="truecolor" if color else None
    )
    with console.capture() as capture:
        console.print(headline_table(made(), console.width, recorded, published_rows(made()) if full else None))
    return capture.get()


def words(text: str) -> str:
    return " ".join(text.split())


def test_it_has_the_published_claims_and_the_check_of_theorem_4_3():
    rows = published_rows(made())
    assert len(rows) == 23
    assert [row.criterion.id for row in rows if row.criterion.kind != "published claim"] == ["W4"]
    for width in (80, 120):
        ids = re.findall(r"^([A-Z]\d) ", shown(width), re.MULTILINE)
        assert sorted(ids) == sorted(row.criterion.id for row in rows)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("beside", [False, True])
def test_it_is_no_wider_than_the_terminal_and_cuts_nothing(width, beside):
    text = shown(width, made() if beside else None)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert len(text.splitlines()) < {False: 75, True: 115}[beside]


@pytest.mark.parametrize("width", [80, 120])
def test_the_short_one_fits_a_screen(width):
    text = shown(width, full=False)
    assert len(text.splitlines()) < 45
    assert len(re.findall(r"^[A-Z]\d ", text, re.MULTILINE)) == 12


def test_a_verdict_is_a_word_and_not_only_a_colour():
    plain, coloured = shown(120), shown(120, color=True)
    for verdict in VERDICTS:
        assert verdict in plain
    assert "\x1b[32mreproduced" in coloured
    assert "\x1b[31mnot reproduced" in coloured
    assert "\x1b" not in plain


def test_a_row_with_parts_has_a_line_for_each():
    lines = [words(line) for line in shown(200).splitlines()]
    at = lines.index("C1 every seed learns the same profile 0.99 (VGG11)")
    assert lines[at + 1] == "VGG11 0.927 [0.864, 0.989] 0.967* 91% reproduced yes"
    assert lines[at + 2] == "ResNet20 0.817 [0.558, 1.075] 0.600 91% inconclusive yes"
    assert "VGG13" not in " ".join(lines)  # nobody published it


def test_what_is_not_tested_says_why_in_a_word():
    lines = [words(line) for line in shown(200).splitlines()]
    untrained = next(number for number, line in enumerate(lines) if line.startswith("L3 "))
    assert lines[untrained].endswith("0.927 [0.864, 0.989] 0.600 14% not tested -")
    assert lines[untrained + 1] == "untrained"
    absent = next(number for number, line in enumerate(lines) if line.startswith("Z1 "))
    assert lines[absent].endswith("- - - not tested yes")
    assert lines[absent + 1].endswith("no run")
    assert any(line.startswith("T1 ") and line.endswith("- - - not tested -") for line in lines)


def test_what_satisfies_the_criterion_for_nothing_is_marked():
    assert Line.of(claim("F1", null={**NULL, "mean": 0.9})).aside == "also random"
    both = claim("F1", null={**NULL, "mean": 0.9}, lambda_alone=(0.9, 0.9), after=(0.9, 0.9, 0.9))
    assert Line.of(both).aside == "also λ, random"
    assert Line.of(both).after_one_step == "0.900*"


def test_recorded_values_stand_beside_those_of_here():
    text = words(shown(80, made()))
    assert "recorded" in text
    assert "trained here" in text
    (line,) = [line for line in shown(200, made()).splitlines() if line.startswith("F1")]
    said = "F1 eq. 3 fits VGG11: ≥ 0.8 (note); 0.94 ± 0.01 (Table 3)"
    assert words(line) == f"{said} 0.927 0.927 [0.864, 0.989] 0.600 91% reproduced yes"
    assert how_recorded(made(), made()) == "30 epochs, H200"
    old = made(preset="standard", data="photos", device=["cpu AVX512, torch 2.13.0+cpu"] * 2)
    assert how_recorded(old, made()) == "photos, standard, cpu"


def test_below_it_stands_what_is_not_in_it():
    short = below_table(made())
    assert short[0] == LEGEND
    assert short[1].startswith("Not in this table: 10 published claims and ")
    told = below_table(made(), full=True)
    assert told[0] == LEGEND
    assert "linear: assumptions 1 violated; checks 3 hold; own findings 1 holds" in told
    assert "consistency: own findings 1 not tested, 2 hold" in told
    assert not any(line.startswith(("frozen", "labels:")) for line in told)
    assert OLD_RECORD not in told
    assert OLD_RECORD in below_table(made(first_version=True))


def test_the_command_that_repeats_an_experiment():
    assert repeat("labels", made().about) == "firstlight reproduce labels --preset full --fresh"
    old = {"recorded": {"labels": {"preset": "standard (first version)", "data": "cifar10"}}}
    assert repeat("labels", old) == "firstlight reproduce labels --preset full --fresh"
    other = {"preset": "quick", "data": "photos"}
    assert repeat("labels", other) == "firstlight reproduce labels --preset quick --data photos --fresh"
