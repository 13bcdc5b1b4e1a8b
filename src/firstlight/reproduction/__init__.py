"""From experiments on real data, or on recorded results, to the folder that shows what was found.

Read first: `reproduction.py`.
"""

from firstlight.experiments.results import Reproduction
from firstlight.reproduction.record import recorded
from firstlight.reproduction.reproduction import reproduce

__all__ = ["Reproduction", "recorded", "reproduce"]
