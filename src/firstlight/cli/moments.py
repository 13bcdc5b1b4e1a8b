"""The command `moments`: patch statistics of a data set of any size, on one machine or on a cluster."""

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.cli.engine_options import LOCAL, EngineOptions
from firstlight.cli.inspection_options import Layout, Pages
from firstlight.cli.moments_file import checked_target, known_by, refuse_other_sums, refuse_to_replace
from firstlight.cli.moments_summary import about_images, curve_text, pixel_curve, summary, versions, write_broken
from firstlight.cli.output import Flag, Json, Output, give_json, hint, result_console
from firstlight.cli.safe_outputs import Force, Target, check_outputs, csv_target, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.cli.whole import Whole, WholeIfGiven, Wholes
from firstlight.errors import InputError
from firstlight.utils.partials import remove_abandoned
from firstlight.utils.text import counted

if TYPE_CHECKING:
    from firstlight.filters.bank import FilterBank
    from firstlight.images import Data, Shard

_SAMPLED_SHARD = 32  # images
# Fewer would leave workers idle at the end, and less of the work kept by a killed run; whatever the number of workers,
# since a state is of the shards that it was begun with.
_SHARDS = 64
# Shards a block of the bootstrap: many, so that every block has images from all over the data.
_SHARDS_A_BLOCK = 8


def moments(
    data: str,
    *,
    kernel_size: Whole,
    out: Output = None,
    stride: Whole = 1,
    dilation: Whole = 1,
    max_distance: WholeIfGiven = None,
    channels: WholeIfGiven = None,
    layout: Layout = None,
    resize: Wholes = None,
    crop: Wholes = None,
    split: str | None = None,
    max_pixels: WholeIfGiven = None,
    only: list[str] | None = None,
    pages: Pages = "first",
    broken: Output = None,
    strict: Flag = False,
    restart: Flag = False,
    force: Force = False,
    engine_options: EngineOptions = LOCAL,
    images_per_shard: WholeIfGiven = None,
    plan: Flag = False,
    stderr: Flag = False,
    blocks: Whole = 32,
    filters: str | None = None,
    json: Json = None,
    data_dir: Path | None = None,
    verbosity: Verbosity = USUAL,
) -> None:
    """Sum up the patches of a data set of any size.

    Exactly, into one small file: however the work is split, the result has the same bits. What is done so far is kept
    beside the output, in FILE.npz.part: a command that was interrupted or killed goes on where it was when it is given
    again. A file of other settings or data is never replaced, unless with --force.

    Parameters
    ----------
    data
        A folder of images; a tar file of images, or a folder of them (WebDataset); Parquet, Arrow, or the folder of a
        saved Hugging Face data set; a .npy or .npz file; cifar10, cifar100 or photos. Also in a remote store, s3://...
    kernel_size
        Rows and columns of a patch.
    out
        The file to write, FILE.npz, for `firstlight inspect NET --data FILE.npz`.
    stride
        Pixels from one patch to the next.
    dilation
        Pixels from one pixel of a patch to the next.
    max_distance
        Sum up pairs of patches, too, that lie so many pixels apart and less, such as 10: the file then also gives the
        auto-correlation of any filters (fl.autocorrelation).
    channels
        3, or 1 for grey; of images in an array, as many as these have, which is the default.
    layout
        NCHW or NHWC, of images in an array whose shape does not tell.
    resize
        Resize the images: one number for the shorter side, two for height and width.
    crop
        Crop their centre, height and width.
    split
        Of a data set that has splits, such as train.
    max_pixels
        Read image files of as many pixels, in place of Pillow's guard against decompression bombs, 89478485.
    only
        Which images to read, as a pattern of their names, such as '*.jpg'; of a table, the column. May be repeated.
        Default: images by suffix without masks beside them; the column called image.
    pages
        Of files with several pages or frames (TIFF, GIF, WebP, animated PNG): first, or all.
    broken
        Write the images that were left out into this CSV file: name, kind and reason, the first 100,000 of them; -
        prints them.
    strict
        Stop at the first image that cannot be read, instead of leaving it out.
    restart
        Begin anew, whatever was done so far, and of what.
    images_per_shard
        Images in one task, where the data are image files or an array. Default: 2048; fewer of small data sets.
    plan
        Read for some seconds, tell how long everything would take (with so many --workers), and stop; nothing is
        written.
    stderr
        Tell the standard errors of the variances, by a bootstrap over blocks of images.
    blocks
        How many blocks, at least 8.
    filters
        With --stderr: a network, as for inspect, for the standard error of the tau fitted to it.
    data_dir
        Folder for data sets [env: FIRSTLIGHT_CACHE].
    """
    from firstlight.images import recognise
    from firstlight.patches.geometry import PatchGeometry
    from firstlight.patches.out_of_core.accumulate import accumulate
    from firstlight.patches.out_of_core.plan import make_plan
    from firstlight.patches.out_of_core.shard_sums import SumsKind
    from firstlight.patches.storage import is_moments
    from firstlight.report.moments_tables import errors_table, plan_rows, spectrum_rows
    from firstlight.report.terminal import two_columns
    from firstlight.theory.sampling_error import sampling_errors

    verbosity.apply()
    patches: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
    if max_distance is not None:
        patches["max_distance"] = max_distance
    # Which refuses what cannot be, before anything is read.
    least = 1 if channels is None else channels
    SumsKind(PatchGeometry(kernel_size, least, stride, dilation), max_distance).empty()
    engine_options.check()
    target, state = (Path(), None) if plan else checked_target(out)
    written = [csv_target(broken, "name", "kind", "reason", option="--broken"), json_target(json, "data")]
    if not plan:
        written += [Target("--out", target, is_moments), Target("--out", state, lambda _: True)]
    check_outputs(written, (data, filters, data_dir), force)
    bank = _bank(filters, stderr, blocks)
    if bank is not None:
        channels = channels or bank.weight.shape[1]
    blocks = blocks if stderr else 0
    sizes = {"resize": _size("resize", resize), "crop": _size("crop", crop)}
    options: dict[str, Any] = {"channels": channels, "split": split, **sizes}
    # Options that version 0.1.0 did not have are told where they are given: its states go on to the same file.
    later = {"layout": layout, "only": only, "max_pixels": max_pixels}
    later |= {"pages": None if pages == "first" else pages}
    options |= {name: given for name, given in later.items() if given is not None}
    console = result_console(json, out, broken)
    if plan:
        shards = _cut(recognise(data, data_dir), _SAMPLED_SHARD, 0, options)
        patches["channels"] = shards[0].channels
        width, place = _workers(engine_options)
        found = make_plan(shards, **patches, workers=width, blocks=blocks)
        console.print(two_columns(plan_rows(found, place), f"plan for {data}"))
        give_json(json, {"data": data, **patches, **found.to_dict()})
        return

    recognised = recognise(data, data_dir)
    shards = _cut(recognised, images_per_shard, blocks, options)
    patches["channels"] = options["channels"] = shards[0].channels
    _refuse_other_filters(bank, patches)
    files, changed = known_by(recognised, shards)
    recorded = {
        "data": recognised.name,
        "files": files,
        "options": json_.dumps({**options, "strict": strict}),
    }
    refuse_to_replace(target, patches, recorded, changed, force)
    with engine_options.open() as running:
        done = accumulate(shards, **patches, engine=running, state=state, restart=restart, blocks=blocks, strict=strict)
    about = about_images(recognised, done)
    told = {name: value if isinstance(value, str) else json_.dumps(value) for name, value in about.items()}
    if broken is not None:  # before the state goes
        write_broken(done, broken)
    sums = done.lags or done.moments
    if not force:
        refuse_other_sums(target, sums, state)
    sums.save(target, **recorded | told, **versions())
    if state is not None:
        state.unlink(missing_ok=True)
        remove_abandoned(state)
    basis = done.moments.basis(about.get("mean"), about.get("std"))
    rows = [*summary(about), *spectrum_rows(basis)]
    result = {
        **about,
        **patches,
        "out": str(target),
        "variance": basis.variance.tolist(),
    }
    if curve := pixel_curve(done):
        rows.append(("auto-correlation", curve_text(curve)))
        result["autocorrelation"] = {"distance": curve.distance.tolist(), "value": curve.value.tolist()}
    console.print(two_columns(rows, str(target)))
    if stderr:
        errors = sampling_errors(done.blocks, about.get("mean"), about.get("std"), bank)
        console.print(errors_table(errors))
        result["errors"] = errors.to_dict()
    hint(console, "", verbosity.quiet)
    hint(console, f"firstlight inspect NETWORK --data {target}", verbosity.quiet)
    give_json(json, result)


def _workers(engine_options: EngineOptions) -> tuple[int, str]:
    """How many will work at once, and where; a cluster that would be started for the purpose is not."""
    if engine_options.scheduler is not None:
        with engine_options.open() as running:
            return max(1, running.workers), running.describe()
    with EngineOptions(workers=engine_options.workers).open() as running:
        width = engine_options.workers or running.workers
    return width, f"{engine_options.engine}, {width} at once, cores and disks like those of this machine"


def _size(name: str, sizes: list[int] | None) -> int | tuple[int, ...] | None:
    if not sizes:
        return None
    if len(sizes) > 2:
        raise InputError(f"--{name} has {len(sizes)} numbers; expected height and width, or one for both")
    return sizes[0] if len(sizes) == 1 else tuple(sizes)


def _bank(filters: str | None, stderr: bool, blocks: int) -> "FilterBank | None":
    """The filters for the error of tau; refuses what would only be noticed after everything is read."""
    from firstlight.filters import load_filters
    from firstlight.theory.sampling_error import LEAST_BLOCKS

    if blocks < LEAST_BLOCKS:
        raise InputError(f"--blocks is {blocks}; expected at least {LEAST_BLOCKS}")
    if filters is None:
        return None
    if not stderr:
        raise InputError(f"--filters is {filters!r}, for the error of its tau; expected --stderr with it")
    return load_filters(filters).ungrouped()


def _refuse_other_filters(bank: "FilterBank | None", patches: dict[str, Any]) -> None:
    """Refuse filters that do not look at these patches."""
    if bank is None:
        return
    expected = (patches["channels"], patches["kernel_size"], patches["kernel_size"])
    if bank.weight.shape[1:] != expected or bank.dilation != (patches["dilation"],) * 2:
        raise InputError(
            f"--filters {bank.source}: {bank!r}; expected filters of {' x '.join(map(str, expected))} with dilation "
            f"{patches['dilation']}, as the patches: give --kernel-size, --channels and --dilation of that layer"
        )


def _cut(data: "Data", images_per_shard: int | None, blocks: int, options: dict[str, Any]) -> "list[Shard]":
    """The data in shards, enough of them for the blocks."""
    from firstlight.theory.sampling_error import LEAST_BLOCKS

    if images_per_shard is None:
        options = {**options, "at_least": max(_SHARDS, blocks * _SHARDS_A_BLOCK)}
    else:
        options = {**options, "images_per_shard": images_per_shard}
    shards = data.shards(**options)
    if blocks and len(shards) < LEAST_BLOCKS:
        raise InputError(
            f"{data.where or data.name} is read in {counted(len(shards), 'part')}; expected at least "
            f"{LEAST_BLOCKS} for --stderr: give more files, or a smaller --images-per-shard"
        )
    return shards
