"""The command `initialise`: a network whose first layer starts as whitening filters, in a new file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from firstlight.cli.folders import DataDir
from firstlight.cli.inspection_options import Numbers
from firstlight.cli.output import Place, print_line, result_console
from firstlight.cli.safe_outputs import Force, Target, check_outputs
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.cli.whole import Whole
from firstlight.errors import InputError


def initialise(
    model: Annotated[Path, Parameter(allow_leading_hyphen=False)],
    *,
    out: Place,
    data: str | None = None,
    kind: Literal["pca", "zca", "eq3"] = "pca",
    tau: float | None = None,
    eps: float | None = None,
    pairs: bool = True,
    seed: Whole = 0,
    layer: str | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    data_dir: DataDir = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> None:
    """Start a first layer with filters that whiten.

    Writes a copy of a .safetensors file: the first layer has new numbers, scaled to the responses of its old ones, and
    everything else is as it was, bit for bit.

    Parameters
    ----------
    model
        The .safetensors file.
    out
        The new file.
    data
        Whose patches to whiten: images, or what `moments` wrote. Default: the statistics of CIFAR-10 that come with the
        package.
    kind
        pca: principal components, then their negatives; zca: filters about single pixels; eq3: what gradient descent
        gives a linear CNN by the time --tau.
    tau
        Of eq3: lr × steps, on pixels normalised as the data. Default: infinity, which is whitening.
    eps
        Of pca and zca: added to the variances, so that weak components stay small. Default: 0.0005.
    pairs
        Whether a layer of more filters than components takes their negatives before it takes rotations of them.
    seed
        Of the rotations.
    layer
        Name of the layer to take instead of the first.
    mean
        Mean of each channel by which the network's images are normalised, of pixels in 0..1. Default: of the data.
    std
        Standard deviation of each channel, likewise.
    """
    from firstlight.filters import load_filters
    from firstlight.filters.formats.safetensors.rewrite import is_rewritten, rewritten
    from firstlight.patches.statistics import patch_statistics
    from firstlight.utils.given import user_path
    from firstlight.whitening.initialise import started

    if out.suffix.lower() != ".safetensors" or model.suffix.lower() != ".safetensors":
        raise InputError(
            f"initialise was given {model} and --out {out}; expected two .safetensors files: of a network of another "
            "kind, fl.initialise_first_layer starts the first layer in Python"
        )
    unused, given = ("eps", eps) if kind == "eq3" else ("tau", tau)
    if given is not None:
        raise InputError(
            f"--{unused} was given with --kind {kind}, which has none; expected another kind, or no --{unused}"
        )
    path = user_path(str(model))
    check_outputs([Target("--out", out, lambda old: is_rewritten(old, path))], (model, data, data_dir), force)
    verbosity.apply()
    bank = load_filters(path, layer)
    statistics = patch_statistics(data, data_dir, channels=bank.weight.shape[1])
    basis = statistics.basis(bank, mean, std)
    options: dict[str, Any] = {name: value for name, value in (("eps", eps), ("tau", tau)) if value is not None}
    weight = started(bank, basis, kind=kind, pairs=pairs, seed=seed, **options)
    rewritten(path, str(model), bank, weight, out)
    if not verbosity.quiet:
        count, *shape = weight.shape
        print_line(
            result_console(),
            f"{out}: {bank.layer}, {count} filters of {' x '.join(map(str, shape))}, starts with {kind} filters of "
            f"{statistics.data}; all else is as in {model}",
        )
