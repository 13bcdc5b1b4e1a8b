"""`firstlight moments` in the terminal: what was summed up, the spectrum with its errors, and what it will take."""

from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.table import Table

from firstlight.report.terminal import bars, plain_table
from firstlight.utils.text import counted, duration

if TYPE_CHECKING:
    from firstlight.patches.basis import PatchBasis
    from firstlight.patches.out_of_core.plan import Plan
    from firstlight.theory.sampling_error import SamplingErrors

_SHOWN = 10  # components
_BARS = 50  # in a row, beside the names


def spectrum_rows(basis: "PatchBasis") -> list[tuple[str, str]]:
    """The spectrum as a chart, and what its first components hold."""
    first = ", ".join(f"{value:.4g}" for value in basis.variance[:5])
    rows = [("variances λ²", f"{bars(basis.variance**0.5, _BARS)} (λ)"), ("largest variances", first)]
    if most := basis.holding(0.99):
        rows.append(("99% of variance", f"in {most} of {counted(basis.size, 'component')}"))
    return rows


def errors_table(found: "SamplingErrors") -> Table:
    """The first and last variances with their standard errors, the trace, and the fit."""
    table = plain_table()
    for header in ("component", "variance λ²", "standard error", "relative"):
        table.add_column(header, justify="right", no_wrap=True)
    size = len(found.variance)
    shown = range(size) if size <= _SHOWN + 2 else [*range(_SHOWN), size - 1]
    for i in shown:
        if i == size - 1 and len(shown) < size:
            table.add_row("...", "", "", "")
        table.add_row(str(i + 1), *_with_error(found.variance[i], found.variance_error[i]))
    table.add_row("sum", *_with_error(found.trace, found.trace_error))
    for name, value, error in (
        ("tau", found.tau, found.tau_error),
        ("correlation", found.correlation, found.correlation_error),
    ):
        if value is not None and error is not None:
            table.add_row(name, *_with_error(value, error))
    return table


def plan_rows(plan: "Plan", where: str) -> list[tuple[str, str]]:
    """What summing up will take."""
    about = "" if plan.counted else "about "
    core = 1 / (plan.reading_seconds + plan.summing_seconds)
    share = plan.reading_seconds * core
    return [
        ("images", f"{about}{plan.images:,}"),
        ("to read", decimal(plan.read_bytes)),
        (
            "measured",
            f"{core:,.0f} images/s on one core: {share:.0%} reading and decoding, {1 - share:.0%} summing "
            f"({counted(plan.sampled, 'image')})",
        ),
        ("engine", where),
        ("expected time", f"{duration(plan.seconds)}, {plan.images_per_second:,.0f} images/s"),
        ("memory", f"about {decimal(plan.memory)} beside the libraries"),
        ("result", f"at most {decimal(plan.result_bytes)}"),
    ]


def _with_error(value: float, error: float) -> tuple[str, str, str]:
    return f"{value:.4g}", f"{error:.2g}", f"{error / value:.1%}" if value else ""
