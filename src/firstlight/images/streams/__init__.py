"""Data sets of any size, read in stacks: folders of images, saved data sets, arrays, torch data sets."""

from firstlight.images.streams.stream import ImageStream

__all__ = ["ImageStream"]
