"""Train through a Dask cluster, in a process that a test interrupts: `engine_child.py SCHEDULER STORE DATA SEEDS`."""

import sys
from pathlib import Path

from pool_child import make_specs  # the tests' folder is this script's

from firstlight.engines import dask as dask_engine, open_engine
from firstlight.errors import FirstlightError
from firstlight.training import train_all

dask_engine.PATIENCE = 3
scheduler, store, data, seeds = sys.argv[1:]
specs = make_specs(Path(data), int(seeds))
try:
    with open_engine("dask", scheduler=scheduler, resources={"held": 1}) as engine:
        sources = {specs[0].data: data}
        for outcome in train_all(specs, lambda name: sys.exit(1), store, sources=sources, device="cpu", engine=engine):
            print(outcome.spec.hash, outcome.failure, flush=True)
except KeyboardInterrupt:
    sys.exit(130)
except FirstlightError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
