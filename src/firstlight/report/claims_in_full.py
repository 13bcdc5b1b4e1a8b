"""All that is known of every claim, for those who ask for it with `--verbose`."""

from collections.abc import Iterator

from rich.markup import escape
from rich.padding import Padding

from firstlight.experiments.results import Reproduction
from firstlight.report.claim_facts import facts
from firstlight.report.claim_lines import repeat
from firstlight.report.terminal import coloured


def claims_in_full(found: Reproduction) -> Iterator[Padding]:
    """Every claim of every experiment, as paragraphs."""
    for result in found.results:
        command = escape(repeat(result.experiment, found.about))
        yield Padding(f"[bold]{result.experiment}[/bold] [dim]{command}[/dim]", (1, 0, 0, 0))
        for claim in result.claims:
            told = "\n".join(f"{name}: {'; '.join(texts)}" for name, texts in facts(claim).items())
            yield Padding(f"[bold]{claim.id}[/bold] {escape(claim.title)}: {coloured(claim.verdict)}", (0, 0, 0, 2))
            yield Padding(escape(told), (0, 0, 0, 6))
