"""Where images come from: named data sets, files, arrays, downloads.

Read first: `recognise.py`.
"""

from firstlight.images.cache import cache_dir
from firstlight.images.facts import SetFacts
from firstlight.images.imageset import ImageSet
from firstlight.images.kinds.kind import Data
from firstlight.images.named_sets import DataSetInfo, data_sets, fetch
from firstlight.images.reading import image_stream, load_images, load_splits, shards_of
from firstlight.images.recognise import recognise
from firstlight.images.shards.shard import Shard
from firstlight.images.streams import ImageStream

__all__ = [
    "Data",
    "DataSetInfo",
    "ImageSet",
    "ImageStream",
    "SetFacts",
    "Shard",
    "cache_dir",
    "data_sets",
    "fetch",
    "image_stream",
    "load_images",
    "load_splits",
    "recognise",
    "shards_of",
]
