"""`dask worker --preload` this: a worker on whose machine an older firstlight is installed."""

import firstlight

firstlight.__version__ = "0.0.9"
