"""The one line that tells how far all is: on a terminal, within another, and where none can be drawn."""

import io
import re

import pytest
from rich.console import Console

from firstlight.utils import progress_line
from firstlight.utils.progress_line import Line, Now, in_turn, stop_line


def terminal(width: int = 80) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, color_system=None, width=width), out


def plain(out: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("firstlight.utils.progress_line.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_it_fits_and_tells_the_time_that_is_left(width: int, clock: list[float]) -> None:
    details = ("step 40/100", "accuracy 25.0%", "r=0.93", "loss 1.500", "310 images/s")
    title, bar, filled, rest = Now("[3/13] VGG11, seed 0", details, 0.4, 130.0).fitted(width)
    line = f"{title}{'  ' if bar else ''}{'x' * bar}{rest}"
    assert len(line) <= width
    assert line.endswith("2.2 min left")
    assert ("step 40/100" in line) is (width >= 60)
    assert ("310 images/s" in line) is (width >= 120)
    assert filled == round(0.4 * bar)


def test_the_time_that_is_left_passes(clock: list[float]) -> None:
    now = Now("x", left=5.0)
    clock[0] += 3.0
    assert now.fitted(80)[-1].endswith("2 s left")
    clock[0] += 30.0
    assert now.fitted(80)[-1].endswith("0 s left")


def test_a_line_within_another_is_a_part_of_it(clock: list[float]) -> None:
    console, _ = terminal()
    with Line(console) as whole:
        whole.later = 60.0
        clock[0] += 20.0
        with Line() as part:
            part.later = 10.0
            assert part.drawn
            part.show("training", ("step 1/2",), share=0.5, left=10.0)
            assert whole._now == Now("training", ("step 1/2",), 0.2, 80.0, clock[0])
            whole.later = None
            part.show("training", share=0.5, left=10.0)
            assert (whole._now.share, whole._now.left) == (None, None)
    assert not whole.drawn


def test_lines_may_end_in_any_order(clock: list[float]) -> None:
    console, _ = terminal()
    first, second = Line(console).__enter__(), Line(console).__enter__()
    first.close()
    second.show("still", share=0.5)
    second.close()
    with Line(console) as third:
        assert third.drawn
        assert progress_line._lines == [third]


def test_it_goes_away_and_what_is_said_stays_as_it_is() -> None:
    console, out = terminal()
    with Line(console) as line:
        line.show("first", share=0.5)
        line.say("[said] :smile:")
    assert re.search(r"first  ━{10}─{10}  50%", plain(out))
    assert plain(out).count("[said] :smile:\n") == 1
    assert out.getvalue().endswith(("\x1b[2K", "\x1b[1A\x1b[2K"))  # the line is erased


@pytest.mark.parametrize("quiet", [True, False])
def test_no_line_is_drawn_where_none_can_be(quiet: bool) -> None:
    out = io.StringIO()
    with Line(Console(file=out, quiet=quiet)) as line:
        line.show("first", share=0.5)
        line.say("x" * 200)
        assert not line.drawn
    assert out.getvalue() == ("" if quiet else "x" * 200 + "\n")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with Line(terminal()[0]) as line:
        assert not line.drawn


def test_an_interruption_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console, out = terminal()
    line = Line(console).__enter__()
    line.show("first")
    stop_line()
    assert not line.drawn
    assert "\x1b[?25h" in out.getvalue()  # the cursor is seen again


def test_things_are_told_of_in_turn_by_their_pace(clock: list[float]) -> None:
    console, _ = terminal()
    with Line(console) as line:
        told = []
        for _ in in_turn(["a", "bb", "c"], line, "measuring", str.upper, lambda item: 3.0 * len(item)):
            told.append(line._now)
            clock[0] += 8.0
    assert [(now.details, now.share, now.left) for now in told] == [
        (("1/3", "A"), 0.0, 12.0),
        (("2/3", "BB"), 0.25, pytest.approx(9 * (8 + 4) / (3 + 4))),
        (("3/3", "C"), 0.75, pytest.approx(3 * (16 + 4) / (9 + 4))),
    ]
