"""Report: the interactive page of what was found, in a notebook, in a file, or in the browser."""

import html
import tempfile
import webbrowser
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import InputError, RunError
from firstlight.utils.checks import whole_number
from firstlight.utils.given import user_path
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    from firstlight.experiments.results import Reproduction
    from firstlight.inspection import Comparison, Inspection
    from firstlight.inspection.not_inspected import Failure
    from firstlight.training import FirstLayerMonitor, History

    Shown = Inspection | Sequence[Inspection | Failure] | Comparison | Reproduction | History | FirstLayerMonitor

_EXPECTED = "expected what inspect, compare or reproduce returned, a history, or a list of inspections"
_SMALLEST_HEIGHT = 100  # pixels
_NAMED = 3  # sources in the repr


class Report:
    """One self-contained HTML page of what was found: figures to explore, tables, and how to repeat it.

    As the last line of a notebook's cell it shows itself, in a frame of its own, so that the notebook's styles and the
    page's do not mix. It needs no network, wherever it is opened.

    Parameters
    ----------
    shown : Inspection, sequence of Inspection, Comparison, Reproduction, History or FirstLayerMonitor
        What `inspect`, `compare`, `reproduce`, `recorded` or `load_history` returned; a training that was watched.
    about : str, optional
        How it was made, as text at the page's end, beside versions and hashes. By default the call; a reproduction
        knows its own command.
    height : int
        Height of the frame in a notebook, in pixels.

    Attributes
    ----------
    html : str
        The page; made when it is first asked for.

    Raises
    ------
    InputError
        Anything else, an empty list, or a height that is none.

    Examples
    --------
    >>> import firstlight as fl, numpy as np
    >>> found = fl.inspect(np.random.default_rng(0).normal(size=(64, 3, 3, 3)))
    >>> fl.Report(found)
    Report(inspection of filters)
    """

    def __init__(self, shown: "Shown", *, about: str | None = None, height: int = 800) -> None:
        self.height = whole_number("height", height, _SMALLEST_HEIGHT)
        self._what, self._render = _renderer(shown, about)

    @cached_property
    def html(self) -> str:
        """The whole page."""
        return self._render()

    def __repr__(self) -> str:
        return f"Report({self._what})"

    def _repr_html_(self) -> str:
        # Sandboxed without its notebook's origin: scripts of the page reach nothing outside of it.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="firstlight: {html.escape(self._what)}" '
            f'width="100%" height="{self.height}" style="border: 0" '
            'sandbox="allow-scripts allow-downloads allow-popups"></iframe>'
        )

    def save_as_html(self, path: str | Path) -> None:
        """Write the page into a file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            Folders that lack are made; a file that is there is replaced.

        Raises
        ------
        InputError
            It cannot be written there.
        """
        target = user_path(path)
        if target.is_dir():
            raise InputError(f"path is the folder {str(target)!r}; expected a file, such as report.html in it")
        page = self.html
        try:
            write_text(target, page)
        except OSError as error:
            raise InputError(
                f"path is {str(target)!r}; expected a file that can be written ({error.strerror or error})"
            ) from None

    def open_in_browser(self) -> Path:
        """Write the page into a temporary file and open it in the web browser.

        Returns
        -------
        Path
            The file. It is left to the system to delete: a browser may load it again.

        Raises
        ------
        RunError
            No browser can be started; the message names the file.
        """
        path = Path(tempfile.mkdtemp(prefix="firstlight-")) / "report.html"
        self.save_as_html(path)
        if not webbrowser.open(path.as_uri()):
            raise RunError(f"no web browser could be started; expected one to open {path}: open that file yourself")
        return path


def _renderer(shown: object, about: str | None) -> tuple[str, Callable[[], str]]:
    """What is shown, in words, and the function that renders its page."""
    from firstlight.inspection import Comparison, Inspection
    from firstlight.inspection.not_inspected import Failure
    from firstlight.report import filter_pages as page

    if isinstance(shown, Comparison):
        call = about or "fl.Report(fl.compare(...))"
        return f"comparison of {len(shown.labels)} first layers", lambda: page.comparison_page(shown, call)
    alone = isinstance(shown, Inspection)
    entries = [shown] if alone else list(shown) if isinstance(shown, Sequence) else []
    if entries and all(isinstance(entry, Inspection | Failure) for entry in entries):
        found = [entry for entry in entries if isinstance(entry, Inspection)]
        failures = [entry for entry in entries if isinstance(entry, Failure)]
        if not found:
            raise InputError(f"nothing could be inspected: {failures[0].error}")
        call = about or ("fl.Report(fl.inspect(...))" if alone else "fl.Report([fl.inspect(...), ...])")
        return f"inspection of {_names(entries)}", lambda: page.inspections_page(found, failures, call)
    if isinstance(shown, Sequence) and not isinstance(shown, str):
        kinds = ", ".join(dict.fromkeys(type(entry).__name__ for entry in shown)) or "nothing in it"
        raise InputError(f"Report was given a {type(shown).__name__} with {kinds}; {_EXPECTED}")
    # Last: this takes seconds where it was not needed yet.
    from firstlight.experiments.results import Reproduction
    from firstlight.report.reproduction_page import reproduction_page
    from firstlight.training import FirstLayerMonitor, History

    history = shown.snapshot() if isinstance(shown, FirstLayerMonitor) else shown
    if isinstance(history, History):
        return f"training of {history.initial.source}", lambda: page.history_page(
            history, about or "fl.Report(history)"
        )
    if isinstance(shown, Reproduction):
        return shown.summary, lambda: reproduction_page(shown)
    raise InputError(f"Report was given {_value(shown)}; {_EXPECTED}, as in fl.Report(fl.inspect(...))")


def _names(entries: "Sequence[Inspection | Failure]") -> str:
    names = [entry.source for entry in entries[:_NAMED]]
    return ", ".join(names) + (f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else "")


def _value(shown: object) -> str:
    return repr(shown) if isinstance(shown, str | int | float | None) else f"a {type(shown).__name__}"
