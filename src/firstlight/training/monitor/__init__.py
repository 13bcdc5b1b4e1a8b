"""Watching a first layer while it learns.

Read first: `monitor.py`.
"""

from firstlight.training.monitor.history import History, load_history
from firstlight.training.monitor.monitor import FirstLayerMonitor, MonitorWarning

__all__ = ["FirstLayerMonitor", "History", "MonitorWarning", "load_history"]
