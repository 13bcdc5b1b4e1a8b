"""The pages of the docs with all claims: an index that leads to each, and a page an experiment."""

import re

import pytest
from tests.report.made_claims import claim, made
from tools.claim_pages import claim_pages, write_claim_pages
from tools.criteria_sections import row_section

from firstlight.experiments.criteria import CRITERIA
from firstlight.report.claims_data import claims_data


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return claim_pages(made())


def test_the_index_leads_to_every_claim(pages):
    """By the heading that it has on its page, as Python-Markdown names it."""
    index = pages["reproducibility.md"]
    assert "[criteria](criteria.md)" in index
    assert "17 of 22 published claims reproduced" in index
    rows = re.findall(r"^\| \[(\w+)\]\(([^#]+)#([^)]+)\) \| (.+) \| ([\w ]+) \|$", index, re.MULTILINE)
    assert [name for name, *_ in rows] == list(CRITERIA)
    for name, page, anchor, statement, _ in rows:
        assert statement == CRITERIA[name].statement
        assert f"## {name}: {statement}\n" in pages[page]
        assert anchor.startswith(f"{name.lower()}-")
    assert {name: verdict for name, *_, verdict in rows}["C1"] == "inconclusive"


def test_the_pages_have_all_that_is_known_of_every_claim(pages):
    found = made()
    for result in found.results:
        page = pages[f"reproducibility/{result.experiment}.md"]
        assert page.startswith(f"# {result.experiment}\n")
        assert f"`firstlight reproduce {result.experiment} --preset full --fresh`" in page
        for one in result.claims:
            assert one.criterion.quantity in page
            assert one.note in page


def test_a_section_says_each_thing_once():
    claims = [claim for claim in made().claims if claim.row == "C1"]
    text = "\n".join(row_section("C1", claims))
    assert text.startswith(
        "## C1: every seed learns the same profile\n\nPublished (note sec. 2.1; paper Table 1): 0.99 (VGG11). Measured:"
    )
    assert (
        "| VGG11 | reproduced | 0.900, 0.950, 0.930 | 0.927 [0.864, 0.989] | 0.967* | 0.710 | 0.200 (0.500) |" in text
    )
    assert "- Not tested (no run): VGG13." in text
    assert text.count("200 random banks") == 1
    assert "satisfied as well" not in text  # the star says it
    assert "- ResNet20: A [note] | on C1.resnet20." in text
    (alone,) = [claim for claim in made().claims if claim.id == "F1"]
    assert row_section("F1", [alone])[-1] == "- A [note] | on F1."


def test_what_else_satisfies_a_criterion_is_said():
    (found,) = [line for line in row_section("C1", [claim("C1", lambda_alone=(0.9, 0.9))]) if "satisfied" in line]
    assert found == "- The criterion is satisfied as well by: λ alone."


def test_a_table_has_no_empty_columns_and_what_was_not_tested_has_none():
    (plain,) = [line for line in row_section("W4", [one for one in made().claims if one.row == "W4"]) if "mean" in line]
    assert plain.startswith("|  | verdict | values | mean |")
    assert "accuracy" not in plain
    section = row_section("Z1", [one for one in made().claims if one.row == "Z1"])
    assert not [line for line in section if line.startswith("|")]
    assert "" not in (section[0], section[-1])


def test_sentences_that_all_parts_share_come_once():
    parts = [
        claim("C1", note="One is 0.9. It is so."),
        claim("C1.x", subject="X", note="Two. It is so."),
    ]
    assert row_section("C1", parts)[-3:] == ["- VGG11: One is 0.9.", "- X: Two.", "- It is so."]


def test_the_cells_of_the_papers_tables_are_all_there(pages):
    cells = claims_data(made())["cells"]
    page = pages["reproducibility/paper-tables.md"]
    assert "27 cells of the paper's tables 1, 2, 3, 14 have no run: 6 on CIFAR-100, 7 on CelebA, 1 on ImageNet" in page
    assert (
        "| 1 | across seeds | [C1](consistency.md#c1-every-seed-learns-the-same-profile) "
        "| 0.99: **reproduced** | 0.97: not tested | 0.99: not tested |  |"
    ) in page
    for cell in cells:
        assert f"{cell['published']}: " in page
    needed = {line.partition(": ")[2] for line in page.splitlines() if line.startswith("- ")}
    assert needed == {cell["needed"] for cell in cells if cell["needed"]}
    assert "reproducibility/paper-tables.md" not in claim_pages(made(("linear",)))


def test_an_old_record_is_shown_as_such():
    said = "Recorded by the first version, judged by the second criteria."
    assert said in claim_pages(made(first_version=True))["reproducibility.md"]
    assert said not in claim_pages(made())["reproducibility.md"]


def test_pages_of_experiments_that_are_no_longer_recorded_are_removed(tmp_path):
    write_claim_pages(made(("linear", "labels")), tmp_path)
    write_claim_pages(made(("linear",)), tmp_path)
    assert [path.name for path in (tmp_path / "reproducibility").iterdir()] == ["linear.md"]
