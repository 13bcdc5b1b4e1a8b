"""Where tasks run: here, or on a Dask cluster.

Read first: `engine.py`.
"""

from firstlight.engines.engine import Engine, engine_of
from firstlight.engines.open import ENGINES, open_engine

__all__ = ["ENGINES", "Engine", "engine_of", "open_engine"]
