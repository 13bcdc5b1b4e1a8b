"""Where images come from: named data sets, files, arrays, downloads.

Read first: `imageset.py`.
"""

from firstlight.images.cache import cache_dir
from firstlight.images.facts import SetFacts
from firstlight.images.imageset import ImageSet
from firstlight.images.load import DataSetInfo, data_sets, fetch, load_images
from firstlight.images.streams import ImageStream, image_stream

__all__ = [
    "DataSetInfo",
    "ImageSet",
    "ImageStream",
    "SetFacts",
    "cache_dir",
    "data_sets",
    "fetch",
    "image_stream",
    "load_images",
]
