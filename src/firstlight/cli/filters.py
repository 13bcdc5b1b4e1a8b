"""The commands that look at filters: `inspect` and `compare`."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from firstlight.cli.output import Flag, Json, Output, give_json, hint, result_console, write_csv
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError
from firstlight.utils.whole_files import write_text

if TYPE_CHECKING:
    from firstlight.inspection.inspection import Failure

Numbers = Annotated[list[float] | None, Parameter(consume_multiple=True, negative=())]
Sizes = Annotated[list[int] | None, Parameter(consume_multiple=True, negative=())]
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
        Mean of each channel that the networks were trained with, in 0..1. Default: that of the data.
    std
        Standard deviation of each channel, likewise.
    fold_batch_norm
        Multiply the filters by the scale of the batch normalisation that follows.
    resize
        Resize the images of a folder: one number for the shorter side, two for height and width.
    crop
        Crop their centre, height and width.
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
    resize: Sizes = None
    crop: Sizes = None
    strict: Flag = False
    data_dir: Path | None = None

    def image_options(self) -> dict[str, Any]:
        """Options for images that are read from files."""
        options: dict[str, Any] = {"strict": self.strict}
        for name, sizes in (("resize", self.resize), ("crop", self.crop)):
            if sizes is not None:
                if len(sizes) not in (1, 2):
                    raise InputError(f"--{name} has {len(sizes)} numbers; expected height and width, or one for both")
                options[name] = sizes[0] if len(sizes) == 1 else tuple(sizes)
        return options


DEFAULTS = InspectionOptions()


def inspect(
    *sources: str,
    options: InspectionOptions = DEFAULTS,
    initial: str | None = None,
    json: Json = None,
    csv: Output = None,
    html: Output = None,
    verbosity: Verbosity = USUAL,
) -> int:
    """Say what the first layers of trained networks have learnt.

    Only the weights of the first layer are read, and nothing in a file is run. The exit code is 2 where a source could
    not be inspected; the others are shown all the same.

    Parameters
    ----------
    sources
        Files of PyTorch (.pt .pth .th .bin .ckpt, TorchScript, .pt2), .safetensors, .onnx, Keras (.keras .h5), .npy,
        .npz; hf:OWNER/NAME, https://...; timm:NAME, torchvision:NAME, module:PACKAGE.MODULE:FACTORY.
    initial
        The same network at initialisation: the profile is then that of the change.
    csv
        Write a row a source and component into this file.
    html
        Write a page with the profiles and the filters into this file.
    """
    from firstlight.filters import load_filters
    from firstlight.inspection.inspect_banks import inspect_all, load_banks
    from firstlight.inspection.inspection import Failure, Inspection
    from firstlight.report.filter_pages import inspections_page
    from firstlight.report.filter_tables import inspection_table

    if not sources:
        raise InputError("inspect was given no source; expected a file of weights, or several")
    verbosity.apply()
    start = None if initial is None else load_filters(initial, options.layer)
    if start is not None and options.fold_batch_norm:
        start = start.folded()
    found = inspect_all(
        load_banks(sources, options.layer, options.fold_batch_norm),
        options.data,
        mean=options.mean,
        std=options.std,
        initial=start,
        data_dir=options.data_dir,
        **options.image_options(),
    )
    good = [one for one in found if isinstance(one, Inspection)]
    failures = [one for one in found if isinstance(one, Failure)]
    if good:
        console = result_console(json)
        for one in good:
            console.print(inspection_table(one))
        about = "tau = lr × steps of a linear CNN on pixels normalised as the patches were; filters are counted from 0"
        hint(console, about, verbosity.quiet)
        give_json(json, [one.to_dict() for one in found])
        if csv is not None:
            write_csv(csv, [one.to_frame() for one in good])
        if html is not None:
            write_text(html, inspections_page(good, failures, _command()))
    return _told(failures)


def compare(
    *sources: str,
    options: InspectionOptions = DEFAULTS,
    json: Json = None,
    csv: Output = None,
    html: Output = None,
    verbosity: Verbosity = USUAL,
) -> int:
    """Say how alike the first layers of several networks are: the correlation of their energy profiles, pair by pair.

    Kernels of different size are compared at matching spatial frequency.

    Parameters
    ----------
    sources
        Two or more, as for inspect.
    csv
        Write the matrix into this file.
    html
        Write a page with a heat map and all profiles on one axis into this file.
    """
    from firstlight.filters.bank import FilterBank
    from firstlight.inspection.comparison import compare as run
    from firstlight.inspection.inspect_banks import load_banks
    from firstlight.inspection.inspection import Failure
    from firstlight.patches.statistics import patch_statistics
    from firstlight.report.filter_pages import comparison_page
    from firstlight.report.filter_tables import comparison_parts

    if len(sources) < 2:
        raise InputError(f"compare was given {len(sources)} source; expected at least 2")
    verbosity.apply()
    loaded = load_banks(sources, options.layer, options.fold_batch_norm)
    failures = [one for one in loaded if isinstance(one, Failure)]
    banks = [one for one in loaded if isinstance(one, FilterBank)]
    if len(banks) < 2:
        return _told(failures)
    channels = 1 if banks[0].ungrouped().weight.shape[1] == 1 else 3
    statistics = patch_statistics(options.data, options.data_dir, channels=channels, **options.image_options())
    found = run(banks, statistics, mean=options.mean, std=options.std)
    console = result_console(json)
    for part in comparison_parts(found):
        console.print(part)
    give_json(json, {"data": statistics.data, **found.to_dict()})
    if csv is not None:
        write_text(csv, found.to_frame().to_csv(index_label="source", lineterminator="\n"))
    if html is not None:
        write_text(html, comparison_page(found, _command()))
    return _told(failures)


def _told(failures: "Sequence[Failure]") -> int:
    """Print an error a source that could not be read; returns the exit code."""
    for failure in failures:
        print(f"firstlight: error: {failure.error}", file=sys.stderr)
    return FAILED if failures else 0


def _command() -> str:
    return "firstlight " + shlex.join(sys.argv[1:])
