"""Images of different sizes, gathered into stacks of equal ones."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from firstlight.utils.budget import check_item

if TYPE_CHECKING:
    from firstlight.images.sliced_images import SlicedImages

STACK_BYTES = 32 << 20


class Stacks:
    """Gathers images by size until there is a stackful.

    All that is held is at most `limit` bytes, or one image that is larger. The order of the stacks, and of the images
    in them, follows from the order of the images alone.
    """

    def __init__(self, limit: int = STACK_BYTES) -> None:
        self.limit = limit
        self._held: dict[tuple[int, ...], list[np.ndarray]] = {}
        self._bytes: dict[tuple[int, ...], int] = {}

    def add(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Take in images (N, C, H, W) of at most `limit` bytes unless N = 1; hand out what becomes too much."""
        while self._held and sum(self._bytes.values()) + images.nbytes > self.limit:
            # The size with the most images first: many small stacks would be slow to work on. First come, if equal.
            yield self._hand_out(max(self._bytes, key=lambda size: self._bytes[size]))
        size = images.shape[1:]
        self._held.setdefault(size, []).append(images)
        self._bytes[size] = self._bytes.get(size, 0) + images.nbytes

    def rest(self) -> Iterator[np.ndarray]:
        """Hand out all that is left."""
        while self._held:
            yield self._hand_out(next(iter(self._held)))

    def _hand_out(self, size: tuple[int, ...]) -> np.ndarray:
        del self._bytes[size]
        images = self._held.pop(size)
        return np.ascontiguousarray(images[0]) if len(images) == 1 else np.concatenate(images)


def pieces(images: "np.ndarray | SlicedImages", limit: int = STACK_BYTES) -> Iterator[np.ndarray]:
    """Views or slices of (N, C, H, W) of at most `limit` bytes each, or of one image."""
    step = max(1, limit * len(images) // max(1, images.nbytes))
    check_item("one image", images.nbytes // max(1, len(images)))
    for start in range(0, len(images), step):
        yield images[start : start + step]
