"""The folders that several commands ask for: of results, and of data sets."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

DataDir = Annotated[
    Path | None,
    Parameter(
        help="Folder for data sets, or one that already holds the original CIFAR files or archives, or such an archive "
        "[env: FIRSTLIGHT_CACHE]."
    ),
]
Out = Annotated[Path, Parameter(help="Folder of results, whose runs/ holds the trained networks.")]
DEFAULT_OUT = Path("firstlight-out")
