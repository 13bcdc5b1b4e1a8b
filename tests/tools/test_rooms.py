"""The drawing of the rooms in CONTRIBUTING follows the imports."""

from tools.rooms import ROOT, about, arrows, drawing, implied, renewed, rooms


def test_the_drawing_in_contributing_is_current():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert renewed(page) == page, "run `make rooms`"


def test_every_room_is_drawn_and_no_arrow_leads_upwards():
    order = rooms()
    found = arrows()
    folders = {path.name for path in (ROOT / "src" / "firstlight").iterdir() if (path / "__init__.py").is_file()}
    assert folders | {"errors", "profile"} == set(order)
    assert [pair for pair in found if order.index(pair[0]) >= order.index(pair[1])] == []
    assert {("profile", "patches"), ("reproduction", "report")} <= found


def test_every_room_says_what_to_read_first():
    for room in rooms():
        purpose, first = about(room)
        assert purpose.endswith("."), room
        assert (ROOT / "src" / "firstlight" / first).is_file(), room


def test_an_arrow_that_others_imply_is_marked_and_not_drawn():
    found = {("a", "b"), ("b", "c"), ("a", "c")}
    assert [arrow for arrow in found if implied(arrow, found)] == [("a", "c")]
    shown = drawing(["a", "b", "c"], found)
    assert [line.strip() for line in shown.splitlines() if "-->" in line] == ["a --> b", "b --> c"]
    assert shown.splitlines()[-4:-1] == ["a     ·     x     x", "b           ·     x", "c                 ·"]


def test_an_import_upwards_stands_left_of_the_diagonal():
    assert drawing(["a", "b"], {("b", "a")}).splitlines()[-2] == "b     x     ·"
