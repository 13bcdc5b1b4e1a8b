"""Patches of images: their exact moments, and the basis of their principal components."""

from firstlight.patches.basis import PatchBasis
from firstlight.patches.moments import PatchMoments, patch_basis

__all__ = ["PatchBasis", "PatchMoments", "patch_basis"]
