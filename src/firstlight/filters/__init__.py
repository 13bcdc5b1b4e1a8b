"""Filter banks, and finding them: in an array, in a network, in a file, in a hub.

Read first: `load.py`.
"""

from firstlight.filters.bank import FilterBank
from firstlight.filters.load import load_filters

__all__ = ["FilterBank", "load_filters"]
