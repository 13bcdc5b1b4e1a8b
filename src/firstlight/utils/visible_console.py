"""The console on which everything is printed: rich's, without characters of others that are not seen."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from firstlight.utils.visible import visible


class VisibleConsole(Console):
    """Prints on standard output or standard error; the console's own escape sequences are added behind the filter."""

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        stream = sys.stderr if stderr else sys.stdout
        # Which rich has for streams that stand before others: here the filter of what is printed without a console.
        super().__init__(stderr=stderr, file=getattr(stream, "rich_proxied_file", stream), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich asks for, of everything that is printed and of every part of it."""
        if isinstance(renderable, str):
            chosen = options or self.options
            renderable = self.render_str(renderable, markup=chosen.markup, highlight=chosen.highlight)
        if isinstance(renderable, Text):
            renderable = _visible(renderable)  # before it is wrapped
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def _visible(text: Text) -> Text:
    plain = text.plain
    if (shown := visible(plain)) == plain:
        return text
    whole = text.blank_copy(shown)
    for start, end, style in text.spans:
        whole.stylize(style, len(visible(plain[:start])), len(visible(plain[:end])))
    return whole
