"""Run the command line with the tiny schedule and a checkpoint after every step: a process that a test can kill."""

import sys

from small_data import TINY  # the tests' folder is this script's

from firstlight import cli
from firstlight.experiments.schedule import SCHEDULES
from firstlight.training import loop

if __name__ == "__main__":  # and not where Dask's processes import it
    SCHEDULES["quick"] = TINY
    loop.CHECKPOINT_SECONDS = 0.0
    sys.exit(cli.main(sys.argv[1:]))
