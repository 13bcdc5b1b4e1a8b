"""Failure: a source that could not be inspected, with the fields of one that was."""

from dataclasses import dataclass
from typing import Any

from firstlight.inspection.finding import Finding

_FIELDS = (
    *("source", "layer", "shape", "kernel_size", "stride", "dtype", "batch_norm", "alternatives", "notes", "data"),
    *("mean", "std", "change", "variance", "frequency", "energy", "peak", "fit", "random_banks", "theories", "spread"),
    *("shuffled_share", "whitening_distance", "effective_rank", "window", "filters", "standing", "findings", "error"),
)


@dataclass(frozen=True)
class Failure:
    """A source that could not be inspected, and why.

    Attributes
    ----------
    source, error : str
    """

    source: str
    error: str

    @property
    def findings(self) -> list[Finding]:
        """The error, as the one finding."""
        return [Finding("unreadable", self.error, "mend it, or name another")]

    def to_dict(self) -> dict[str, Any]:
        """The fields of `Inspection.to_dict`, empty but for the source and the error, which is the one finding."""
        empty: dict[str, Any] = dict.fromkeys(_FIELDS)
        lists = {name: [] for name in ("alternatives", "notes", "variance", "frequency", "energy")}
        return {**empty, **lists, "source": self.source, "findings": [self.findings[0].to_dict()], "error": self.error}
