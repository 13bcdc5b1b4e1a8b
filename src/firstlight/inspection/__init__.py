"""What a trained first layer has learnt, and how alike several are.

Read first: `inspect_banks.py`.
"""

from firstlight.inspection.compare_banks import compare
from firstlight.inspection.comparison import Comparison
from firstlight.inspection.inspect_banks import inspect
from firstlight.inspection.inspection import Inspection
from firstlight.patches.bank_statistics import PatchStatistics
from firstlight.patches.statistics import patch_statistics

__all__ = ["Comparison", "Inspection", "PatchStatistics", "compare", "inspect", "patch_statistics"]
