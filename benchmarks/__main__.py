"""Run benchmarks and write a dated table each: `python -m benchmarks [NAME ...]`.

Names are patches, fit, autocorrelation, inspection and training. Where none is named all are run.
"""

import datetime
import platform
import sys
from pathlib import Path

from benchmarks import autocorrelation, fit, inspection, patches, training
from firstlight.files import write_text
from firstlight.patches.lags import thread_count

PARTS = {
    "patches": patches.run,
    "fit": fit.run,
    "autocorrelation": autocorrelation.run,
    "inspection": inspection.run,
    "training": training.run,
}
RESULTS = Path(__file__).parent / "results"


def main(names: list[str]) -> int:
    """Run the named parts one after the other."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"no such benchmark: {unknown[0]!r}; expected some of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    today = datetime.date.today().isoformat()
    for name in names or PARTS:
        text = (
            f"# {name}, {today}\n\n{cpu_name()}, {thread_count()} cores. Ratios were measured side by side in one run "
            f"of `python -m benchmarks {name}`.\n\n{PARTS[name]()}"
        )
        print(text, flush=True)
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
