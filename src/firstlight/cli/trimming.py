"""No spaces at the ends of lines, with which rich fills tables up: what is piped, compared or copied has none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment


@dataclass(frozen=True)
class Trimmed:
    """Something to print, without the spaces at the ends of its lines."""

    whole: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for line, ended in Segment.split_lines_terminator(console.render(self.whole, options)):
            yield from _without_end(line)
            if ended:
                yield Segment.line()


class Trimming(RenderHook):
    """Trims all that a console prints."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What rich asks for."""
        return [Trimmed(one) for one in renderables]


def _without_end(line: Iterable[Segment]) -> list[Segment]:
    found = list(line)
    while found and not found[-1].control:
        text, style, _ = found.pop()
        if kept := text.rstrip(" "):
            return [*found, Segment(kept, style)]
    return found
