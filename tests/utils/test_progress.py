"""How far images are: on a terminal's line, elsewhere by few notes, nothing if told so."""

import io
import re

import pytest
from rich.console import Console

from firstlight.utils.console import silence
from firstlight.utils.progress import ImageProgress, Interval
from firstlight.utils.progress_line import Line


def test_notes_are_rare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("firstlight.utils.progress.time.monotonic", lambda: now)
    with ImageProgress("reading x", 3_000, True) as progress:
        for _ in range(100):
            now += 0.5
            progress.update(10)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[0] == "firstlight: reading x: 200 of 3,000 images, 20 a second, 2.3 min left"
    assert lines[-1] == "firstlight: reading x: 1,000 of 3,000 images, 20 a second, 100 s left"


def test_a_total_that_is_not_known_gives_no_time_that_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("firstlight.utils.progress.time.monotonic", lambda: now)
    with ImageProgress("reading x", None, True) as progress:
        now += 10.0
        progress.update(2_000)
    assert progress.seconds == 10.0
    assert capsys.readouterr().err == "firstlight: reading x: 2,000 images, 200 a second\n"


@pytest.mark.parametrize("silent", [False, True])
def test_nothing_is_told_where_nobody_wants_it(capsys: pytest.CaptureFixture[str], monkeypatch, silent: bool) -> None:
    monkeypatch.setattr("firstlight.utils.progress.LINE_SECONDS", 0.0)
    monkeypatch.setattr("firstlight.utils.progress.LOOK_SECONDS", 0.0)
    silence(silent)
    try:
        with ImageProgress("reading x", 10, shown=silent) as progress:
            progress.update(10)
    finally:
        silence(False)
    assert progress.done == 10
    assert capsys.readouterr() == ("", "")


def test_images_that_nobody_asks_for_leave_the_line_of_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstlight.utils.progress.LOOK_SECONDS", 0.0)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=80)
    with Line(console) as line:
        line.show("training")
        with ImageProgress("hidden", 10, shown=False) as progress:
            progress.update(5)
    assert "training" in out.getvalue()
    assert "hidden" not in out.getvalue()


def test_an_interval_passes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("firstlight.utils.progress.time.monotonic", lambda: now)
    later, at_once = Interval(10), Interval(10, at_once=True)
    assert (later.due(), at_once.due(), at_once.due()) == (False, True, False)
    now = 110.0
    assert (later.due(), at_once.due(), later.due(), at_once.due()) == (True, True, False, False)


def test_the_images_are_counted_on_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstlight.utils.progress.LOOK_SECONDS", 0.0)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=80)
    with Line(console), ImageProgress("reading x", 3_000, True) as progress:
        progress.update(1_500)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "reading x" in text
    assert "1,500 of 3,000 images" in text
