"""One finding: what is said of a first layer, how much it matters, and what one can do about it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from firstlight.errors import InputError
from firstlight.utils.text import listed

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# Every code that a finding can have: names are promises. In docs/first-layer.md each is explained.
CODES: dict[str, Severity] = {
    "all-zero": "error",
    "not-moved": "error",
    "few-patches": "warning",
    "untrained": "warning",
    "whitened": "info",
    "partly-whitened": "info",
    "not-whitened": "info",
    "follows-eq-3": "info",
    "not-eq-3": "info",
    "no-eq-3": "info",
    "open-time": "info",
    "regime": "info",
    "standing": "info",
    "dead-filters": "warning",
    "duplicate-filters": "warning",
    "grey-input": "warning",
    "unused-channel": "warning",
    "bgr": "warning",
    "batch-norm": "info",
    "other-layers": "info",
    "how-read": "info",
    "unreadable": "error",
}


@dataclass(frozen=True)
class Finding:
    """What is said of a first layer.

    Attributes
    ----------
    code : str
        Stable; one of `CODES`.
    text : str
        What was found, with the numbers that it rests on.
    advice : str
        What one can do about it; "nothing to do" where that is so.

    Examples
    --------
    >>> found = Finding("dead-filters", "1 of 16 filters is dead: 3", "prune it")
    >>> str(found), found.severity
    ('1 of 16 filters is dead: 3; prune it', 'warning')
    """

    code: str
    text: str
    advice: str = "nothing to do"

    def __post_init__(self) -> None:
        assert self.code in CODES, self.code

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}"

    @property
    def severity(self) -> Severity:
        """How much it matters: "error", "warning" or "info"."""
        return CODES[self.code]

    def to_dict(self) -> dict[str, str]:
        """Code, severity, text and advice."""
        return {"severity": self.severity, **asdict(self)}


def checked_codes(codes: Sequence[str]) -> list[str]:
    """Codes and severities that are asked for; a severity stands for all codes that have it.

    Raises
    ------
    InputError
        One is neither.

    Examples
    --------
    >>> checked_codes(["error", "bgr"])
    ['all-zero', 'not-moved', 'unreadable', 'bgr']
    """
    found: list[str] = []
    for code in codes:
        if code in CODES:
            found.append(code)
        elif code in SEVERITIES:
            found += [name for name, severity in CODES.items() if severity == code]
        else:
            known = listed([*SEVERITIES, *CODES], len(CODES) + len(SEVERITIES), ", ")
            raise InputError(f"the code {code!r} is no finding's; expected some of {known}")
    return found


def found_codes(findings: Iterable[Finding], codes: Sequence[str]) -> list[str]:
    """Which of these codes are among the findings, in the order of the codes."""
    there = {finding.code for finding in findings}
    return [code for code in dict.fromkeys(codes) if code in there]
