"""What a trained first layer has learnt, and how alike several are."""

from firstlight.inspection.comparison import Comparison, compare
from firstlight.inspection.inspection import Inspection, inspect

__all__ = ["Comparison", "Inspection", "compare", "inspect"]
