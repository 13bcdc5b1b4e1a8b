"""What `inspect` and `compare` share: how they look at networks, and how they tell of one that cannot be read."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from firstlight.cli.output import Flag
from firstlight.cli.whole import WholeIfGiven, Wholes
from firstlight.errors import InputError
from firstlight.utils.addresses import without_credentials
from firstlight.utils.text import printable

if TYPE_CHECKING:
    from firstlight.inspection.not_inspected import Failure

Numbers = Annotated[list[float] | None, Parameter(consume_multiple=True, negative=())]
Layout = Literal["NCHW", "NHWC"] | None
Pages = Literal["first", "all"]
FAILED = 2


@Parameter(name="*")
@dataclass(frozen=True)
class InspectionOptions:
    """How `inspect` and `compare` look at networks.

    Parameters
    ----------
    data
        Whose patches to look with: a folder of images, a Hugging Face data set on disk, a .npy or .npz file of images
        or of patch moments, cifar100 or photos. Default: the statistics of CIFAR-10 that come with the package.
    layer
        Name of the layer to take instead of the first.
    mean
        Mean of each channel that the networks were trained with, of pixels in 0..1 or in 0..255. Default: that of the
        data.
    std
        Standard deviation of each channel, likewise.
    fold_batch_norm
        Multiply the filters by the scale of the batch normalisation that follows.
    channels
        Channels to read the images with. Default: those of the filters.
    layout
        NCHW or NHWC, of images in an array whose shape does not tell.
    resize
        Resize the images of a folder: one number for the shorter side, two for height and width.
    crop
        Crop their centre, height and width.
    max_pixels
        Read image files of as many pixels, in place of Pillow's guard against decompression bombs, 89478485.
    only
        Which images of the data to read, as a pattern of their names, such as '*.jpg'; of a table, the column. May be
        repeated. Default: images by suffix without masks beside them; the column called image.
    pages
        Of files with several pages or frames (TIFF, GIF, WebP, animated PNG): first, or all.
    strict
        Stop at the first image that cannot be read, instead of leaving it out.
    data_dir
        Folder for data sets and statistics [env: FIRSTLIGHT_CACHE].
    """

    data: str | None = None
    layer: str | None = None
    mean: Numbers = None
    std: Numbers = None
    fold_batch_norm: Flag = False
    channels: WholeIfGiven = None
    layout: Layout = None
    resize: Wholes = None
    crop: Wholes = None
    max_pixels: WholeIfGiven = None
    only: list[str] | None = None
    pages: Pages = "first"
    strict: Flag = False
    data_dir: Path | None = None

    def image_options(self) -> dict[str, Any]:
        """Options for images that are read from files."""
        options: dict[str, Any] = {"strict": self.strict, "layout": self.layout, "max_pixels": self.max_pixels}
        options["pages"] = self.pages
        if self.channels is not None:
            options["channels"] = self.channels
        if self.only:
            options["only"] = self.only
        for name, sizes in (("resize", self.resize), ("crop", self.crop)):
            if sizes is not None:
                if len(sizes) not in (1, 2):
                    raise InputError(f"--{name} has {len(sizes)} numbers; expected height and width, or one for both")
                options[name] = sizes[0] if len(sizes) == 1 else tuple(sizes)
        return options


DEFAULTS = InspectionOptions()


def print_failures(failures: "Sequence[Failure]") -> int:
    """Print an error a source that could not be read; returns the exit code."""
    for failure in failures:
        print(f"firstlight: error: {printable(failure.error)}", file=sys.stderr)
    return FAILED if failures else 0


def command_line() -> str:
    """The command as it was typed, for a page that tells how it was made."""
    return "firstlight " + shlex.join(map(without_credentials, sys.argv[1:]))
