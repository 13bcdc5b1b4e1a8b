"""Fuzz what reads files of others with atheris: `python -m fuzz.readers [TARGET ...] [--seconds 60]`.

Filters, images, atlases, moments. Every input must end in what is read or in one of firstlight's errors of one line,
within 10 s and 1 GiB. Anything else is a crash: atheris keeps the input in fuzz/crashes, and the exit code is 1. Needs
`pip install atheris`.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz.seeds import Target, targets

CRASHES = Path(__file__).parent / "crashes"


def main() -> int:
    """Fuzz each target in a process of its own, and print how many inputs were tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    CRASHES.mkdir(exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        known = targets(Path(place))
        names = arguments.names or list(known)
        if unknown := [name for name in names if name not in known]:
            parser.error(f"no target {unknown[0]!r}; expected some of {', '.join(known)}")
        print("| target | inputs | inputs/s | crashes |\n|---|---|---|---|")
        for name in names:
            tried, crashed, output = _fuzz(name, known[name], Path(place), arguments.seconds)
            print(f"| {name} | {tried:,} | {tried // arguments.seconds:,} | {crashed} |", flush=True)
            if crashed:
                failed += 1
                print(output[-3000:], file=sys.stderr)
    return 1 if failed else 0


def _fuzz(name: str, target: Target, place: Path, seconds: int) -> tuple[int, int, str]:
    corpus = place / name
    corpus.mkdir()
    (corpus / "seed").write_bytes(target.seed)
    # The member's wrapping is a closure: the child makes the targets anew and takes its own.
    command = [
        *(sys.executable, "-m", "fuzz.child", name, str(place)),
        *(str(corpus), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1400", "-print_final_stats=1"),
        *(f"-artifact_prefix={CRASHES}/{name}-", f"-max_len={4 * len(target.seed)}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    found = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    # The traceback is on standard output, libFuzzer's own words on the other.
    return int(found[1]) if found else 0, int(done.returncode != 0 or found is None), done.stderr + done.stdout


if __name__ == "__main__":
    sys.exit(main())
