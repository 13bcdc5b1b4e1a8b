"""Patch statistics of a user's images: computed in one pass, and cached by the content of the images."""

import logging
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from firstlight.errors import InputError
from firstlight.filters.bank import FilterBank
from firstlight.images import ImageStream, cache_dir
from firstlight.images.cache import keep
from firstlight.patches.bank_statistics import USUAL_SIZE, PatchStatistics, dilation_of, is_square, with_channels, zeros
from firstlight.patches.moments import PatchMoments
from firstlight.patches.normalise import Normalisation
from firstlight.patches.pixel_statistics import pixel_statistics
from firstlight.utils.console import note

logger = logging.getLogger(__name__)


class ComputedStatistics(PatchStatistics):
    """Those of a user's images, computed in one pass and kept in the cache under a hash of the images' content."""

    def __init__(self, stream: ImageStream, data_dir: str | Path | None = None, strict: bool = False) -> None:
        self._stream, self.data, self._strict = stream, stream.name, strict
        self._data_dir = data_dir
        self._known: dict[tuple[int, int], PatchMoments] = {}  # by kernel size and dilation

    def example(self, kernel_size: int | None = None) -> FilterBank:
        return zeros(self._stream.channels, kernel_size or USUAL_SIZE)

    def prepare(self, banks: Iterable[FilterBank]) -> None:
        kinds = {(1, 1)} | {(max(bank.weight.shape[2:]), dilation_of(bank)) for bank in banks if is_square(bank)}
        missing = sorted(kind for kind in kinds if kind not in self._known and not self._cached(*kind))
        if not missing:
            return
        logger.debug("sums the patches of %s, (kernel size, dilation): %s", self.data, missing)
        stream = self._stream
        found = {(size, dilation): PatchMoments(size, stream.channels, dilation=dilation) for size, dilation in missing}
        for stack in stream:
            for moments in found.values():
                if min(stack.shape[2:]) >= moments.extent:
                    moments.update(stack)
        for kind, moments in found.items():
            if moments.count == 0:
                dilated = f" (with dilation {moments.dilation})" if moments.dilation > 1 else ""
                raise InputError(
                    f"all images of {self.data} are smaller than the kernel, {moments.extent} x {moments.extent}"
                    f"{dilated}: give larger ones"
                )
            self._known[kind] = moments
            if path := self._path(*kind):
                about = {"data": self.data, "broken": str(stream.broken_count), "summary": stream.summary()}
                keep(f"the statistics of {self.data} are", path, partial(moments.save, path, **about))

    def moments(self, rows: int, columns: int, channels: int, dilation: int = 1) -> PatchMoments:
        size = max(rows, columns)
        if (size, dilation) not in self._known:
            self.prepare([zeros(channels, size, dilation)])
        return with_channels(self._known[size, dilation], channels, self.data)

    def normalisation(self, channels: int) -> Normalisation:
        return pixel_statistics(self.moments(1, 1, channels))

    def _cached(self, size: int, dilation: int) -> bool:
        """Take the moments from the cache, where they are whole and there."""
        path = self._path(size, dilation)
        if path is None or not os.path.isfile(path):  # which a folder that cannot be read has none of
            return False
        try:
            moments = PatchMoments.load(path)
        except InputError:  # damaged: computed and written again
            return False
        broken = moments.provenance.get("broken", "0") != "0"
        if broken and self._strict:
            return False
        summary = moments.provenance.get("summary", "")
        if size == 1 and (broken or "left out" in summary):  # of one that every call asks for, so that it is said once
            note(f"statistics in the cache: {summary}")
        logger.debug("patches of %s: sums from the cache, %s", self.data, path)
        self._known[size, dilation] = moments
        return True

    def _path(self, size: int, dilation: int) -> Path | None:
        fingerprint = self._stream.fingerprint  # hashed once a stream
        if fingerprint is None:
            return None
        kind = f"{size}" if dilation == 1 else f"{size}-dilation-{dilation}"
        return cache_dir(self._data_dir) / "moments" / f"{fingerprint}-{self._stream.channels}-{kind}.npz"
