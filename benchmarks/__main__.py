"""Run benchmarks and write a dated table each: `python -m benchmarks [NAME ...]`.

Names are patches, peers, fit, autocorrelation, inspection, training, monitor, page and gpu. Where none is named all are
run that need no GPU. peers, training and gpu take options (`python -m benchmarks peers --help`); what they then measure
is only printed.
"""

import datetime
import importlib
import platform
import sys
from pathlib import Path

from firstlight.utils.cores import cores
from firstlight.utils.whole_files import write_text

# Imported only where they run: the machine with the GPU need not have what the others use.
PARTS = ("patches", "peers", "fit", "autocorrelation", "inspection", "training", "monitor", "page", "gpu")
WITH_OPTIONS = ("peers", "training", "gpu")
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str]) -> int:
    """Run the named parts one after the other."""
    first_option = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:first_option], arguments[first_option:]
    if unknown := [name for name in names if name not in PARTS]:
        print(f"no such benchmark: {unknown[0]!r}; expected some of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    if options and (len(names) != 1 or names[0] not in WITH_OPTIONS):
        print(f"options go with one of {', '.join(WITH_OPTIONS)}; not {options[0]!r}", file=sys.stderr)
        return 2
    today = datetime.date.today().isoformat()
    for name in names or PARTS[:-1]:
        part = importlib.import_module(f"benchmarks.{name}")
        measured = part.run(options) if options else part.run()
        text = (
            f"# {name}, {today}\n\n{cpu_name()}, {cores()} cores. Ratios were measured side by side in one run "
            f"of `python -m benchmarks {name}`.\n\n{measured}"
        )
        print(text, flush=True)
        if not options:
            write_text(RESULTS / f"{today}-{name}.md", text)
    return 0


def cpu_name() -> str:
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
