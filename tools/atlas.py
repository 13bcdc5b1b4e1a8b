"""The atlas of known networks that comes with the package: `python -m tools.atlas RESULTS [PUBLISHED...]`.

RESULTS are the recorded trainings; PUBLISHED are NAME=FAMILY=SOURCE=FILE, of networks that others trained. Entries of
published networks that are not given again are kept.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from firstlight.errors import FirstlightError, InputError
from firstlight.experiments.networks import NETWORKS
from firstlight.inspection import inspect
from firstlight.inspection.atlas import entry_of, shipped_atlas, write_atlas
from firstlight.inspection.known import Known
from firstlight.reproduction.rebuild import context_of, read_record
from firstlight.training import Run

SHIPPED = Path(__file__).parents[1] / "src" / "firstlight" / "inspection" / "known_networks.json"
RECORDED = "recorded by firstlight"


def recorded_networks(results: Path) -> Iterator[Known]:
    """The recorded trainings on whole data sets, by their whole weights and by the change."""
    record = read_record(results)
    preset, data = next((entry["preset"], entry["data"]) for entry in record["experiments"].values())
    context = context_of(results, record, preset, data)
    for name, network in NETWORKS.items():
        for spec in context.specs(name):
            if spec.hash not in record["runs"] or spec.frozen or spec.scaled_component:
                continue
            run = Run.load(results / "runs" / spec.hash)
            source = f"{RECORDED}: {spec.data}, {spec.steps:,} steps at lr {spec.lr:g}, seed {spec.seed}"
            for initial in (None, run.initial):
                yield entry_of(inspect(run.final, initial=initial), network.title, _family(network.model), source)


def _family(model: str) -> str:
    return model.rstrip("b").rstrip("0123456789")


def published_network(text: str) -> Known:
    """A network that others trained: NAME=FAMILY=SOURCE=FILE."""
    parts = text.split("=", 3)
    if len(parts) != 4:
        raise InputError(f"{text!r} is no network; expected NAME=FAMILY=SOURCE=FILE")
    name, family, source, file = parts
    return entry_of(inspect(file), name, family, source)


def main(arguments: Sequence[str]) -> None:
    """Write the atlas, as the module's text says."""
    results, *published = arguments
    new = [published_network(text) for text in published]
    kept = [
        one
        for one in (shipped_atlas() if SHIPPED.exists() else ())
        if not one.source.startswith(RECORDED) and one.name not in {other.name for other in new}
    ]
    write_atlas(SHIPPED, [*recorded_networks(Path(results)), *kept, *new])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except FirstlightError as error:
        print(f"atlas: error: {error}", file=sys.stderr)
        sys.exit(2)
