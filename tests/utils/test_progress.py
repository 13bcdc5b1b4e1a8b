"""What is seen of work that takes long: bars on a terminal, elsewhere few lines, nothing if told so."""

import io
import re

import pytest
from rich.console import Console
from rich.progress import MofNCompleteColumn

from firstlight.utils.console import silence
from firstlight.utils.progress import Bars, ImageProgress, Interval, stop_bars


def terminal() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, color_system=None, width=80), out


def plain(out: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_lines_are_rare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
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
    silence(silent)
    try:
        with ImageProgress("reading x", 10, shown=silent) as progress:
            progress.update(10)
        assert not progress.drawn
    finally:
        silence(False)
    assert progress.done == 10
    assert capsys.readouterr() == ("", "")


def test_an_interval_passes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("firstlight.utils.progress.time.monotonic", lambda: now)
    later, at_once = Interval(10), Interval(10, at_once=True)
    assert (later.due(), at_once.due(), at_once.due()) == (False, True, False)
    now = 110.0
    assert (later.due(), at_once.due(), later.due(), at_once.due()) == (True, True, False, False)


def test_bars_come_and_go_and_what_is_said_stays_as_it_is() -> None:
    console, out = terminal()
    with Bars(lambda: [MofNCompleteColumn()], console) as bars:
        first, second = bars.add("first", 3), bars.add("second", None, 2)
        bars.move(first, 1, total=4)
        bars.say("[said] :smile:")
        assert bars._live is not None
        bars._live.refresh()
        bars.remove(second)
        assert [task.description for task in bars._live.tasks] == ["first"]
    assert re.search(r"first .* 1/4 *\nsecond .* 2/\?", plain(out))
    assert plain(out).count("[said] :smile:\n") == 1


@pytest.mark.parametrize("quiet", [True, False])
def test_no_bar_is_drawn_where_none_can_be(quiet: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, quiet=quiet)
    with Bars(pytest.fail, console) as bars:
        bar = bars.add("first", 3)
        bars.move(bar, 1)
        bars.remove(bar)
        bars.say("x" * 200)
    assert not bars.drawn
    assert out.getvalue() == ("" if quiet else "x" * 200 + "\n")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console, _ = terminal()
    assert not Bars(pytest.fail, console).drawn


def test_an_interruption_ends_all_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console, out = terminal()
    bars = Bars(list, console).__enter__()
    stop_bars()
    assert bars._live is not None
    assert not bars._live.live.is_started
    assert out.getvalue().rstrip("\r").endswith("\x1b[?25h")  # the cursor is seen again
