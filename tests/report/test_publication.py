"""Figures in publication form: embedded fonts, shapes, metadata, the same bytes, and text that can be read."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import BboxBase
from PIL import Image

from firstlight.errors import InputError, OutputError
from firstlight.experiments import FigureEntry
from firstlight.figures.axes import new_figure
from firstlight.figures.pictures import show_tiles
from firstlight.figures.profiles import component_axis
from firstlight.figures.styles import PAPER, SLIDES, STYLES, use
from firstlight.report.publication import encoded, fold_labels
from firstlight.reproduction.draw_figures import chosen_figures, draw_figures, is_name, write_drawn
from firstlight.reproduction.rebuild import rebuild
from firstlight.reproduction.shipped_record import recorded_results


def example() -> FigureEntry:
    fig, (left, right) = new_figure(columns=2)
    rng = np.random.default_rng(0)
    left.plot(np.arange(1, 28), rng.random(27), label="τ = λ² ± 1")
    component_axis(left, 27, rng.standard_normal((27, 3, 3, 3)))
    left.set(title="a < b & c", ylabel="energy")
    show_tiles(right, rng.standard_normal((16, 3, 3, 3)))
    return FigureEntry(fig, "A title", "A caption: τ & more.")


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_pdf_embeds_truetype_fonts_and_says_what_it_shows(style):
    with use(style):
        found = encoded(example().figure, "pdf", style, example())
    assert found.startswith(b"%PDF")
    assert b"/FontFile2" in found
    assert b"/Type3" not in found
    assert b"/Image" not in found.replace(b"/ImageB", b"").replace(b"/ImageC", b"").replace(b"/ImageI", b"")
    assert b"A title" in found
    assert b"CreationDate" not in found


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_svg_has_text_as_paths_and_no_pixels(style):
    with use(style):
        found = encoded(example().figure, "svg", style, example()).decode()
    assert "<text" not in found
    assert "<image" not in found
    assert "<dc:title>A title</dc:title>" in found
    assert "<dc:date>" not in found
    assert not re.search(r"url\(.?https?:", found)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_png_has_the_dots_that_the_style_says(style, tmp_path):
    with use(style):
        entry = example()
        (tmp_path / "a.png").write_bytes(encoded(entry.figure, "png", style, entry))
    with Image.open(tmp_path / "a.png") as image:
        width, height = entry.figure.get_size_inches()
        assert image.size == (int(width * style.dpi), int(height * style.dpi))
        assert image.info["Title"] == "A title"


def test_the_same_figure_has_the_same_bytes_in_every_format():
    for kind in ("pdf", "svg", "png"):
        with use(PAPER):
            assert encoded(example().figure, kind, PAPER) == encoded(example().figure, kind, PAPER)


def test_labels_longer_than_their_axes_are_folded_and_mathematics_is_not():
    with use(PAPER):
        fig, (ax,) = new_figure(width=2.0, height=1.0)
        ax.set(xlabel="short", ylabel="a long name of an axis in $a b c d e f g$ units", title="one\ntwo " + "x " * 99)
        fold_labels(fig)
    assert ax.get_xlabel() == "short"
    assert ax.get_ylabel().count("\n") == 1
    assert "$a b c d e f g$" in ax.get_ylabel()
    assert ax.get_title().count("\n") == 1


def test_names_of_figures_and_folders_are_told_apart():
    assert is_name("formula")
    assert is_name("formula/pairs")
    assert not is_name("./formula")
    assert not is_name("results")


def test_unknown_figures_are_named_with_those_that_there_are():
    there = ["formula/pairs", "formula/filters", "linear/regimes"]
    assert chosen_figures([], there, Path("x")) == there
    assert chosen_figures(["linear/regimes", "formula"], there, Path("x")) == there
    with pytest.raises(InputError, match=r"figure 'formula/pair' is not in x; .*did you mean 'formula/pairs'\?"):
        chosen_figures(["formula/pair"], there, Path("x"))


def test_figures_of_the_record_are_drawn_and_nothing_leaks():
    before = dict(matplotlib.rcParams)
    (found,) = draw_figures(recorded_results(), SLIDES, ["svg", "pdf"], ["label-correlation/correlations"])
    assert dict(matplotlib.rcParams) == before
    assert found.inches[0] == 12
    assert list(found.files) == ["svg", "pdf"]
    assert found.caption


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    with use(PAPER):
        drawn = draw_figures(recorded_results(), PAPER, ["svg"], ["linear/regimes"])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.* cannot be written"):
        write_drawn(drawn, tmp_path / "file")
    assert [path.name for path in write_drawn(drawn, tmp_path / "new")] == ["linear_regimes.svg"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["linear_regimes.svg"]


def cut_or_overlapping(figure: Figure) -> list[str]:
    """Names of axes and panels that are cut off by the figure's edge, or lie on each other."""
    FigureCanvasAgg(figure).draw()
    page = figure.bbox
    shown: list[tuple[Text, BboxBase]] = []
    for ax in figure.axes:
        texts = (ax.title, ax.xaxis.label, ax.yaxis.label)
        shown += [(one, one.get_window_extent()) for one in texts if one.get_text() and one.get_visible() and ax.axison]
    found = [
        f"{one.get_text()!r} is cut off"
        for one, box in shown
        if box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 - 1 or box.y1 > page.y1 + 1
    ]
    for index, (one, box) in enumerate(shown):
        for other, its in shown[index + 1 :]:
            if min(box.x1, its.x1) - max(box.x0, its.x0) > 1 and min(box.y1, its.y1) - max(box.y0, its.y0) > 1:
                found.append(f"{one.get_text()!r} lies on {other.get_text()!r}")
    return found


def test_text_that_is_cut_off_or_overlaps_would_be_found():
    fig, (left, right) = new_figure(columns=2, width=2.0)
    left.set_xlabel("a name much longer than its panel is wide, and more")
    right.set_xlabel("a name much longer than its panel is wide, and more")
    assert len(cut_or_overlapping(fig)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_no_text_of_any_recorded_figure_is_cut_off_or_overlaps(style):
    with use(style):
        found = rebuild(recorded_results(), command="test")
        for result in found.results:
            for name, entry in result.figures.items():
                fold_labels(entry.figure)
                assert not cut_or_overlapping(entry.figure), f"{result.experiment}/{name}"
