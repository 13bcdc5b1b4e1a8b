"""Patches of images: their exact moments, and the basis of their principal components."""

from .basis import PatchBasis
from .moments import PatchMoments

__all__ = ["PatchBasis", "PatchMoments"]
