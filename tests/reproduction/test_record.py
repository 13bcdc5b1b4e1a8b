"""Recorded results: rebuilt without images or training, checked, and shown in README and docs as they are."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.shown import text_differences
from tests.small_data import TINY, write_data
from tools import record
from tools.claim_pages import claim_pages

import firstlight as fl
from firstlight.experiments import EXPERIMENTS
from firstlight.experiments.criteria import CRITERIA
from firstlight.experiments.schedule import SCHEDULES
from firstlight.report.claim_lines import published_rows
from firstlight.report.claims_data import claims_data
from firstlight.report.claims_pages import BEGIN, END, readme_block
from firstlight.reproduction.folder import write_reproduction
from firstlight.theory import AUTHORS_TAU

ROOT = Path(__file__).parents[2]
QUIET = Console(quiet=True)
NAMES = ["formula", "trajectory"]


@pytest.fixture(scope="module")
def made(found, tmp_path_factory):
    """A real reproduction of two experiments that share their runs, and the record of it."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(found.out / "runs", folder / "out" / "runs")  # which are not trained again
    data = write_data(tmp_path_factory.mktemp("gone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCHEDULES, "quick", TINY)
        both = fl.reproduce(NAMES, data=data, device="cpu", out=folder / "out", console=QUIET)
        record.add_to_record(folder / "out", folder / "results")
        data.unlink()  # nothing may need the images any more
        yield both, folder


@pytest.fixture(scope="module")
def rebuilt(made) -> fl.Reproduction:
    return record.recorded(results=made[1] / "results", console=QUIET)


def copied(made, tmp_path) -> Path:
    shutil.copytree(made[1] / "results", tmp_path / "results")
    return tmp_path / "results"


def test_a_record_rebuilds_every_claim_table_and_figure(made, rebuilt):
    found, folder = made
    assert claims_data(rebuilt) == claims_data(found)
    assert claims_data(record.recorded(results=folder / "out", console=QUIET)) == claims_data(found)
    for before, after in zip(found.results, rebuilt.results, strict=True):
        assert list(before.tables) == list(after.tables)
        for name, table in before.tables.items():
            assert table.equals(after.tables[name])
        assert {name: entry.svg for name, entry in before.figures.items()} == {
            name: entry.svg for name, entry in after.figures.items()
        }
    assert [result.experiment for result in record.recorded("trajectory", results=folder / "results").results] == [
        "trajectory"
    ]


def test_a_record_holds_small_files_and_each_run_once(made):
    found, folder = made
    names = {str(path.relative_to(folder / "results")) for path in (folder / "results").rglob("*") if path.is_file()}
    hashes = {run.spec.hash for result in found.results for run in result.runs}
    assert len(hashes) == 4
    parts = ("spec.json", "filters.safetensors", "metrics.csv", "run.json")
    assert {name for name in names if name.startswith("runs/")} == {
        f"runs/{key}/{part}" for key in hashes for part in parts
    }
    assert {name.split("-")[0] for name in names if not name.startswith("runs/")} == {
        "record.json",
        "measurements/patch",
    }


def test_only_what_is_recorded_can_be_had(made):
    with pytest.raises(fl.InputError, match="experiment 'linear' is not recorded; expected one of formula, trajectory"):
        record.recorded("linear", results=made[1] / "results")


@pytest.mark.parametrize(
    "name", ["runs/*/filters.safetensors", "runs/*/metrics.csv", "runs/*/run.json", "measurements/*", "record.json"]
)
@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_record_is_refused_by_name(made, tmp_path, name, damage):
    results = copied(made, tmp_path)
    path = sorted(results.glob(name))[0]
    if damage == "remove":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1 if name != "record.json" else 128
        path.write_bytes(content)
    with pytest.raises((fl.RunError, fl.InputError), match=re.escape(path.name.split("-")[0])) as caught:
        record.recorded(results=results)
    assert "\n" not in str(caught.value)


def test_another_format_is_refused(made, tmp_path):
    results = copied(made, tmp_path)
    (results / "record.json").write_text('{"format": 3}')
    with pytest.raises(fl.RunError, match="has format 3; expected 2: restore the record"):
        record.recorded(results=results)


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> fl.Reproduction:
    return record.recorded(console=QUIET)


@pytest.mark.recorded
def test_every_experiment_is_recorded_and_every_criterion_judged(real):
    assert [result.experiment for result in real.results] == list(EXPERIMENTS)
    names = [claim.id for claim in real.claims]
    assert len(set(names)) == len(names)
    assert {claim.row for claim in real.claims} == set(CRITERIA)
    for result in real.results:
        assert all(claim.experiment == result.experiment for claim in result.claims)
        assert not any(re.search(r"\bnan\b", claim.note) for claim in result.claims)


@pytest.mark.recorded
def test_readme_and_docs_show_what_is_recorded(real):
    shown = (ROOT / "README.md").read_text().split(BEGIN + "\n")[1].split(END)[0]
    assert text_differences(readme_block(real), shown) == []
    pages = claim_pages(real)
    assert {f"reproducibility/{path.name}" for path in (ROOT / "docs" / "reproducibility").iterdir()} < set(pages)
    for name, page in pages.items():
        assert text_differences(page, (ROOT / "docs" / name).read_text()) == [], name
    for result in real.results:
        for name in result.figures:
            assert (ROOT / "docs" / "figures" / f"{result.experiment}_{name}.svg").is_file()


@pytest.mark.recorded
def test_recorded_correlations_follow_from_the_recorded_filters(real):
    """By the public functions alone, from weights and patch moments: the numbers are what they say, to 1e-9."""
    (formula,) = [result for result in real.results if result.experiment == "formula"]
    (claim,) = [claim for claim in formula.claims if claim.id == "F2"]
    runs = [run for run in formula.runs if run.spec.model == "resnet20" and run.spec.labels == "true"]
    images = fl.load_images(runs[0].spec.data)
    basis = fl.PatchMoments(3, 3).update(images.images).basis(images.mean, images.std)
    assert formula.tables["patch_components"]["variance"].to_numpy() == pytest.approx(basis.variance, rel=1e-12)
    values = [
        fl.fit_formula(fl.energy_profile(run.final, basis, run.initial), basis, tau_range=AUTHORS_TAU).correlation
        for run in sorted(runs, key=lambda run: run.spec.seed)
    ]
    assert claim.values == pytest.approx(values, abs=1e-9)


@pytest.mark.recorded
def test_nothing_that_is_published_is_reproduced_by_one_step_alone(real):
    """But for what can hardly fail, as the criteria's table says, and what holds for other reasons is marked."""
    for row in real.rows:
        if row.verdict == "reproduced" and row.criterion.id not in ("E1", "F5", "F6", "W2", "W3", "T1"):
            assert all(one.learnt for claim in row.claims for one in claim.reached)
            assert all(claim.reached for claim in row.claims)


def test_the_pages_are_written_between_the_markers(made, rebuilt, tmp_path):
    (tmp_path / "README.md").write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    record.show(made[1] / "results", tmp_path / "README.md", tmp_path / "docs")
    table = readme_block(rebuilt)
    assert (tmp_path / "README.md").read_text() == f"above\n{BEGIN}\n{table}{END}\nbelow\n"
    page = (tmp_path / "docs" / "reproducibility.md").read_text()
    for claim in rebuilt.claims:
        assert claim.criterion.statement in page
    for result in rebuilt.results:
        page = (tmp_path / "docs" / "reproducibility" / f"{result.experiment}.md").read_text()
        for target in re.findall(r"\]\((\.\./figures/[^)]+)\)", page):
            assert (tmp_path / "docs" / "reproducibility" / target).is_file()


def test_a_rebuilt_reproduction_is_written_like_one_just_made(made, rebuilt, tmp_path):
    write_reproduction(replace(rebuilt, out=tmp_path))
    assert (tmp_path / "tables" / "formula_fits.csv").read_bytes() == (
        made[1] / "out" / "tables" / "formula_fits.csv"
    ).read_bytes()
    assert "firstlight reproduce --recorded" in (tmp_path / "report.html").read_text()


def test_recorded_results_need_neither_torch_nor_the_patch_kernels():
    """Both take a second to import, of the few that all of it takes."""
    code = (
        "import sys; from firstlight.reproduction.record import recorded; recorded('labels'); "
        "assert not {'torch', 'numba'} & sys.modules.keys(), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.recorded
def test_of_an_experiment_of_which_nothing_is_published_the_own_findings_are_the_table():
    rows = published_rows(record.recorded("initialisation", console=QUIET))
    assert [row.criterion.id for row in rows] == ["O7", "O8", "O9", "O10", "O11", "O12"]
