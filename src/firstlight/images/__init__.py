"""Where images come from: named data sets, files, arrays, downloads."""

from firstlight.images.imageset import ImageSet
from firstlight.images.sources import DataSetInfo, data_sets, fetch, load_images
from firstlight.images.store import cache_dir

__all__ = ["DataSetInfo", "ImageSet", "cache_dir", "data_sets", "fetch", "load_images"]
