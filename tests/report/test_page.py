"""The page: hostile texts stay texts, and figures do not share identifiers."""

from firstlight.experiments import Claim, FigureEntry, Result
from firstlight.report.page import write_page
from firstlight.style import new_figure, svg

EVIL = "<img src=x onerror=alert(1)>"


def about() -> dict:
    return {
        "command": f"firstlight reproduce --data {EVIL}",
        "preset": "quick",
        "data": EVIL,
        "data_fingerprint": "0" * 64,
        "mean": [0.5],
        "std": [0.2],
        "seeds": [0],
        "device": [EVIL],
        "threads": [2],
        "versions": {"firstlight": "0", "numpy": "0", "torch": "0", "python": "0"},
        "training_seconds": 1.0,
        "date": "2026-01-01",
        "runs": [],
    }


def figure(text: str) -> FigureEntry:
    fig, (ax,) = new_figure()
    ax.plot([1, 2], [3, 4], label=text)
    ax.legend()
    return FigureEntry(fig, text, text)


def test_hostile_names_are_shown_and_not_run(tmp_path):
    claim = Claim("a/b/c", EVIL, EVIL, EVIL, EVIL, EVIL, (1.0,), "reproduced", EVIL)
    result = Result("formula", (claim,), {}, {"one": figure(EVIL), "two": figure(EVIL)}, (), EVIL)
    path = tmp_path / "report.html"
    write_page([claim], [result], about(), path)
    text = path.read_text()
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_no_claims_and_no_figures_is_still_a_page(tmp_path):
    write_page([], [Result("formula", (), {}, {}, (), "")], about(), tmp_path / "report.html")
    assert "0 of 0 claims reproduced" in (tmp_path / "report.html").read_text()


def test_the_same_figure_is_the_same_bytes():
    assert svg(figure("a").figure) == svg(figure("a").figure)
    assert "<dc:date>" not in svg(figure("a").figure)
