"""`dask worker --preload` this: what is trained there goes no further than `pool_child.py` lets it."""

from pool_child import WORKER  # the folder of a preloaded file is on the path

from firstlight.training.workers import processes

processes.WORKER = WORKER
