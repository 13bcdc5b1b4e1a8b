"""The examples in the pages of the documentation: run, and their outputs compared with what the page shows, or renewed.

In a page every ``sh`` and ``python`` block is run, in order, in one empty folder; Python blocks share their names. A
``text`` block right after one is what it prints. A ``shell`` block is not run: it needs the network, a cluster or files
of the reader's. ``python docs/examples.py docs/tutorial.md ...`` writes what is printed now into the pages; with
``--files FOLDER`` the examples find copies of these files where they run.
"""

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS = "100"
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Example:
    """A block of a page, and what it prints.

    Attributes
    ----------
    code : str
    shown : str or None
        The output that the page shows; None where it shows none.
    printed : str
        The output of now.
    span : tuple of int
        Where in the page that output is, or would be.
    """

    code: str
    shown: str | None
    printed: str
    span: tuple[int, int]


def run(text: str, folder: Path) -> Iterator[Example]:
    """Run the examples of a page, given as text, in a folder that becomes the current one meanwhile.

    Raises
    ------
    RuntimeError
        A command fails. Python blocks raise what they raise.
    """
    names: dict[str, Any] = {"__name__": "__page__"}
    for match in _BLOCK.finditer(text):
        language, code, shown = match.groups()
        with contextlib.chdir(folder):
            printed = _shell(code) if language == "sh" else _python(code, names)
        yield Example(code, shown, printed, match.span(3))


def same(shown: str, printed: str) -> bool:
    """Whether two outputs say the same: words exactly, numbers to within 5%, or 0.02, and bars of profiles by kind.

    Networks that are trained on another processor differ in the last digits; and tables wrap where they like.
    """
    ours, theirs = _numbers(shown), _numbers(printed)
    if _words(shown) != _words(printed) or len(ours) != len(theirs):
        return False
    pairs = zip(ours, theirs, strict=True)
    return all(abs(a - b) <= max(0.05 * max(abs(a), abs(b)), 0.02) for a, b in pairs)


def _words(text: str) -> str:
    return _NUMBER.sub("0", "".join(re.sub(r"[▁▂▃▄▅▆▇█]+", "▁", text).split()))


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]


def _shell(code: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": COLUMNS, "NO_COLOR": "1"}
    done = subprocess.run(["bash", "-ec", code], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode} of\n{code}{done.stdout}{done.stderr}")
    return done.stdout


def _python(code: str, names: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "<page>", "exec"), names)
    return out.getvalue()


def _tidy(printed: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())


def renew(page: Path, files: Path | None = None) -> None:
    """Write what the examples print now into a page, where it shows an output; they may need files."""
    text = page.read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = shutil.copytree(files, Path(name) / "here") if files else Path(name)
        examples = list(run(text, folder))
    for example in reversed(examples):
        if example.shown is not None:
            start, stop = example.span
            text = text[:start] + _tidy(example.printed) + text[stop:]
    page.write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=Path, help="a folder of files that the examples read")
    parser.add_argument("pages", type=Path, nargs="+")
    given = parser.parse_args()
    for page in given.pages:
        renew(page, given.files)
