"""The command `inspect`: what the first layers of networks have learnt."""

import sys
from pathlib import Path

from firstlight.cli.inspection_options import DEFAULTS, InspectionOptions, command_line, print_failures
from firstlight.cli.output import Json, Output, give_json, give_text, print_parts, result_console, text_width, write_csv
from firstlight.cli.safe_outputs import Force, check_outputs, csv_target, html_target, json_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError
from firstlight.utils.given import user_path

ASKED_FOR = 1  # exit code: what --fail-on names was found


def inspect(
    *sources: str,
    options: InspectionOptions = DEFAULTS,
    initial: str | None = None,
    json: Json = None,
    csv: Output = None,
    html: Output = None,
    force: Force = False,
    fail_on: str | None = None,
    atlas: Path | None = None,
    verbosity: Verbosity = USUAL,
) -> int:
    """Say what the first layers of networks have learnt.

    Only the weights of the first layer are read, and nothing in a file is run. The exit code is 2 where a source could
    not be inspected; the others are shown all the same. It is 1 where `--fail-on` is given and one of its findings is
    there.

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
    atlas
        A collection of your own (firstlight atlas build), among which the layer is placed. Default: the package's.
    fail_on
        Codes of findings, or severities (error, warning, info), with commas between them, such as
        dead-filters,bgr: for checks that run by themselves. `--json` shows the code of every finding.
    """
    from firstlight.filters import load_filters
    from firstlight.inspection.atlas import read_atlas
    from firstlight.inspection.finding import checked_codes, found_codes
    from firstlight.inspection.inspect_banks import inspect_all, load_banks
    from firstlight.inspection.inspection import Inspection
    from firstlight.inspection.not_inspected import Failure
    from firstlight.report.filter_tables import inspection_parts

    if not sources:
        raise InputError("inspect was given no source; expected a file of weights, or several")
    codes = checked_codes(fail_on.split(",")) if fail_on is not None else []
    columns = ("source", "layer", "component", "variance", "frequency", "energy", "normalized", "prediction")
    targets = (json_target(json, "source"), csv_target(csv, *columns), html_target(html))
    check_outputs(targets, (*sources, initial, atlas, options.data, options.data_dir), force)
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
        atlas=None if atlas is None else read_atlas(user_path(atlas)),
        **options.image_options(),
    )
    good = [one for one in found if isinstance(one, Inspection)]
    failures = [one for one in found if isinstance(one, Failure)]
    if good:
        console = result_console(json, csv, html)
        for number, one in enumerate(good):
            if number:
                console.print()
            print_parts(console, inspection_parts(one, text_width(console)))
        if csv is not None:
            write_csv(csv, [one.to_frame() for one in good])
        if html is not None:
            from firstlight.report.filter_pages import inspections_page

            give_text(html, inspections_page(good, failures, command_line()))
    give_json(json, [one.to_dict() for one in found])
    there = found_codes([finding for one in found for finding in one.findings], codes)
    if there:
        print(f"firstlight: --fail-on: found {', '.join(there)}: exit code {ASKED_FOR}", file=sys.stderr)
    return print_failures(failures) or (ASKED_FOR if there else 0)
