"""Every command of the program, with what it is given in tests that look at all of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclopts import App

from firstlight.cli import app


def commands(of: App = app, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each."""
    for name in of:
        if name not in ("--help", "-h", "--version"):
            below = list(commands(of[name], (*before, name)))
            yield from below or [(*before, name)]


@dataclass(frozen=True)
class Planted:
    """Files whose names and contents somebody else chose, in a folder of their own."""

    weights: Path
    keras: Path
    images: Path
    pictures: Path
    moments: Path
    results: Path
    run: str
    atlas: Path
    out: Path


# What each command is given: several lines of arguments.
GIVEN: dict[tuple[str, ...], Callable[[Planted], list[list[object]]]] = {
    ("inspect",): lambda p: [
        [p.weights, "--data", p.moments, "--html", p.out / "i.html", "--csv", p.out / "i.csv", "-v"],
        [p.weights, "--data", p.moments, "--json", "-"],
        [p.keras, "--data", p.images],
        [p.weights / "none", "--atlas", p.atlas],
        [p.weights, "--fail-on", p.weights],
    ],
    ("compare",): lambda p: [
        [p.weights, p.weights, "--data", p.moments, "--html", p.out / "c.html", "--csv", p.out / "c.csv", "-v"],
        [p.weights, p.weights, p.keras, "--json", p.out / "c.json"],
    ],
    ("watch",): lambda p: [
        [p.weights, "--once", "--data", p.moments, "--html", p.out / "f.html", "--csv", p.out / "f.csv"],
        [p.pictures.parent, "--every", "0.1s", "--for", "0.3s", "--json", p.out / "f.json", "-v"],
        [p.weights / "none", "--once"],
    ],
    ("moments",): lambda p: [
        [p.pictures, "--kernel-size", 3, "--out", p.out / "m.npz", "--broken", p.out / "broken.csv", "-v"],
        [p.images, "--kernel-size", 3, "--out", p.out / "n.npz", "--json", p.out / "m.json"],
        [p.images, "--kernel-size", 3, "--plan"],
        [p.weights, "--kernel-size", 3, "--out", p.out / "o.npz", "--only", p.weights.name],
    ],
    ("initialise",): lambda p: [
        [p.weights, "--out", p.out / "w.safetensors"],
        [p.weights.with_suffix(".safetensors"), "--out", p.out / "w.safetensors", "--data", p.moments],
    ],
    ("figures",): lambda p: [[p.results, "--out", p.out / "figures"], [p.weights.name]],
    ("data", "list"): lambda p: [["--data-dir", p.results], ["--data-dir", p.results, "--json", "-"]],
    ("data", "fetch"): lambda p: [[p.weights.name]],
    ("runs", "list"): lambda p: [["--out", p.results], ["--out", p.results, "--json", "-"]],
    ("runs", "show"): lambda p: [[p.run, "--out", p.results], [p.weights.name, "--out", p.results]],
    ("runs", "clean"): lambda p: [["--out", p.results, "--dry-run"], ["--state", p.weights.name]],
    ("reproduce",): lambda p: [
        ["--recorded", p.weights.name, "--out", p.out / "r"],
        ["labels", "--data", p.images, "--out", p.out / "r"],
    ],
    ("theory",): lambda p: [
        ["--data", p.images, "--out", p.out / "theory"],
        ["--data", p.weights.name, "--json", "-"],
    ],
    ("clean",): lambda p: [[p.results], [p.weights.name], ["--data-dir", p.results, "--json", "-"]],
    ("atlas", "list"): lambda p: [["--atlas", p.atlas], ["--atlas", p.atlas, "--json", "-"], ["--atlas", p.weights]],
    ("atlas", "build"): lambda p: [[p.weights, p.pictures, "--out", p.out / "a.json", "--family", p.weights.name]],
    ("atlas", "add"): lambda p: [[p.weights, "--atlas", p.atlas]],
    ("atlas", "check"): lambda p: [["--atlas", p.atlas], ["--atlas", p.weights]],
    ("--install-completion",): lambda p: [["--shell", p.weights.name]],
}
