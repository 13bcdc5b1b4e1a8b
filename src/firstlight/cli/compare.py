"""The command `compare`: how alike the first layers of networks are."""

from firstlight.cli.inspection_options import DEFAULTS, InspectionOptions, command_line, print_failures
from firstlight.cli.output import Json, Output, give_json, give_text, print_parts, result_console, text_width
from firstlight.cli.safe_outputs import Force, check_outputs, html_target, json_target, matrix_target
from firstlight.cli.verbosity import USUAL, Verbosity
from firstlight.errors import InputError
from firstlight.utils.csv_text import csv_text


def compare(
    *sources: str,
    options: InspectionOptions = DEFAULTS,
    json: Json = None,
    csv: Output = None,
    html: Output = None,
    force: Force = False,
    verbosity: Verbosity = USUAL,
) -> int:
    """Say how alike the first layers of networks are.

    By the correlation of their energy profiles, pair by pair. Kernels of different size are compared at matching
    spatial frequency.

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
    from firstlight.inspection.compare_banks import compare as run
    from firstlight.inspection.inspect_banks import load_banks
    from firstlight.inspection.not_inspected import Failure
    from firstlight.patches.bank_statistics import channels_of
    from firstlight.patches.statistics import patch_statistics
    from firstlight.report.filter_tables import comparison_parts

    if len(sources) < 2:
        raise InputError(f"compare was given {len(sources)} source; expected at least 2")
    targets = (json_target(json, "data"), matrix_target(csv), html_target(html))
    check_outputs(targets, (*sources, options.data, options.data_dir), force)
    verbosity.apply()
    loaded = load_banks(sources, options.layer, options.fold_batch_norm)
    failures = [one for one in loaded if isinstance(one, Failure)]
    banks = [one for one in loaded if isinstance(one, FilterBank)]
    if len(banks) < 2:
        return print_failures(failures)
    read = {"channels": channels_of(banks), **options.image_options()}
    statistics = patch_statistics(options.data, options.data_dir, **read)
    found = run(banks, statistics, mean=options.mean, std=options.std)
    console = result_console(json, csv, html)
    print_parts(console, comparison_parts(found, text_width(console)))
    give_json(json, {"data": statistics.data, **found.to_dict()})
    if csv is not None:
        give_text(csv, csv_text(found.to_frame(), index_label="source"))
    if html is not None:
        from firstlight.report.filter_pages import comparison_page

        give_text(html, comparison_page(found, command_line()))
    return print_failures(failures)
