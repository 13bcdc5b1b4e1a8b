"""Patches of images: their exact moments, those of pairs of them, and the basis of their principal components.

Read first: `basis.py`.
"""

from firstlight.patches.basis import PatchBasis
from firstlight.patches.geometry import PatchGeometry
from firstlight.patches.image_lags import ImageLags
from firstlight.patches.moments import PatchMoments, patch_basis

__all__ = ["ImageLags", "PatchBasis", "PatchGeometry", "PatchMoments", "patch_basis"]
