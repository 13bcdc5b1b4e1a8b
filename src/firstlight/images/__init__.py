"""Where images come from: named data sets, files, arrays, downloads."""

from firstlight.images.facts import SetFacts
from firstlight.images.imageset import ImageSet
from firstlight.images.sources import DataSetInfo, data_sets, fetch, load_images
from firstlight.images.store import cache_dir

__all__ = ["DataSetInfo", "ImageSet", "SetFacts", "cache_dir", "data_sets", "fetch", "load_images"]
