"""The 27 cells of the paper's Tables 1 to 3, and which of them a reproduction on one data set has tested."""

from collections.abc import Mapping
from dataclasses import dataclass

NOT_TESTED = "not tested"
DATA_TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "celeba": "CelebA", "imagenet": "ImageNet"}

EXPERIMENTS = ("consistency", "labels", "formula")  # that judge the claims of the three tables, in their order
# What a cell needs of data and machine, by data set.
_TIME = "a GPU (the 54 runs on CIFAR-10 took 11 minutes of one H200)"
_NEEDS = {
    "cifar10": f"CIFAR-10, which is downloaded once, and {_TIME}: {{command}}",
    "cifar100": f"CIFAR-100, which is downloaded once or is yours (--data PATH or --data-dir PATH), and {_TIME}: "
    "{command}",
    "celeba": "CelebA's images, made one size, in celeba/train/CLASS and celeba/test/CLASS by one of its attributes, "
    f"and {_TIME}, longer as there are more and larger images: {{command}}",
    "imagenet": "the five published networks and a folder of ImageNet's images, and no GPU, since nothing is trained: "
    "{command} for each network",
}
_DATA_OPTIONS = {"cifar10": "cifar10", "cifar100": "cifar100", "celeba": "celeba/"}


@dataclass(frozen=True)
class Cell:
    """A number in one of the paper's tables.

    Attributes
    ----------
    table : int
        Its number in the paper.
    data : str
        A key of `DATA_TITLES`, which is what a reproduction calls the set.
    column : str
        What it is the correlation of.
    published : str
        As published, with its standard deviation where there is one.
    claim : str or None
        Id of the claim that answers it where a reproduction is on its data; None where no training of ours does. That
        of the five pairs is one claim, on their mean.
    """

    table: int
    data: str
    column: str
    published: str
    claim: str | None


@dataclass(frozen=True)
class JudgedCell:
    """A cell beside what a reproduction says of it; its other fields are those of the `Cell`.

    Attributes
    ----------
    data : str
        The data set, as people call it.
    state : str
        The verdict of its claim; or "not tested".
    needed : str
        Where nothing was run for it: data, command and machine that would test it. Otherwise empty.
    """

    table: int
    data: str
    column: str
    published: str
    claim: str | None
    state: str
    needed: str


def cells(data_name: str, verdict_of_claim: Mapping[str, str]) -> list[JudgedCell]:
    """All cells, in the order of the paper's tables.

    Parameters
    ----------
    data_name : str
        Name of the data set that the claims were judged on, such as "cifar10"; of a folder of images its own.
    verdict_of_claim : mapping of str to str
        Verdict of every claim that was judged, by its id.

    Returns
    -------
    list of JudgedCell

    Examples
    --------
    >>> found = cells("cifar10", {"C1": "reproduced"})
    >>> found[0].published, found[0].state, found[4].data, found[4].state
    ('0.99', 'reproduced', 'CIFAR-100', 'not tested')
    """
    return [_judged(cell, verdict_of_claim if cell.data == data_name else {}) for cell in CELLS]


def _judged(cell: Cell, verdicts: Mapping[str, str]) -> JudgedCell:
    judged = cell.claim in verdicts
    state = verdicts.get(cell.claim or "", NOT_TESTED)
    needed = "" if judged else _NEEDS[cell.data].format(command=_command(cell))
    return JudgedCell(cell.table, DATA_TITLES[cell.data], cell.column, cell.published, cell.claim, state, needed)


def _command(cell: Cell) -> str:
    if cell.claim is None:
        return "firstlight inspect NETWORK --data FOLDER --resize 256 --crop 224 224"
    return f"firstlight reproduce {' '.join(EXPERIMENTS)} --preset full --data {_DATA_OPTIONS[cell.data]}"


def _row(table: int, data: str, columns: Mapping[str, str], *published: str) -> list[Cell]:
    pairs = zip(columns.items(), published, strict=True)
    return [Cell(table, data, column, value, claim) for (column, claim), value in pairs]


_TABLE_1 = {
    "across seeds": "C1",
    "across first-layer widths": "C2",
    "trained against initialisation": "C4",
    "VGG11 against ResNet18": "C3",
}
_TABLE_2 = {"random labels against initialisation": "L2", "true against random labels": "L1"}
_PAIRS = ("automobile/truck", "dog/frog", "dog/cat", "bird/airplane", "ship/airplane")
_TABLE_3 = {"eq. 3": "F1"} | {f"eq. 3, {pair}": "F4" for pair in _PAIRS} | {"eq. 3, random initialisation": "F5"}

CELLS = (
    *_row(1, "cifar10", _TABLE_1, "0.99", "0.98", "-0.13 ± 0.18", "0.87"),
    *_row(1, "cifar100", _TABLE_1, "0.97", "0.98", "-0.04 ± 0.04", "0.80"),
    *_row(1, "celeba", _TABLE_1, "0.99", "0.98", "-0.18 ± 0.13", "0.92"),
    *_row(2, "cifar10", _TABLE_2, "0.03 ± 0.22", "0.90 ± 0.02"),
    *_row(2, "cifar100", _TABLE_2, "0.14 ± 0.13", "0.91 ± 0.01"),
    *_row(2, "celeba", _TABLE_2, "0.08 ± 0.07", "0.96 ± 0.03"),
    Cell(3, "imagenet", "eq. 3, five networks", "0.90 ± 0.01", None),
    *_row(
        3,
        "cifar10",
        _TABLE_3,
        "0.94 ± 0.01",
        "0.93 ± 0.01",
        "0.91 ± 0.02",
        "0.95 ± 0.01",
        "0.96 ± 0.005",
        "0.96 ± 0.01",
        "0.1 ± 0.15",
    ),
    Cell(3, "celeba", "eq. 3", "0.96 ± 0.01", "F1"),
)
