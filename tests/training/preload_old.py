"""`dask worker --preload` this: a worker on whose machine an older firstlight is installed."""

from firstlight.utils import version

version.__version__ = "0.0.9"
