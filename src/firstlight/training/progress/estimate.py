"""How long trainings take: expected from what was measured, and what is left of several that are under way."""

import time
from collections.abc import Callable, Collection

from firstlight.training.spec import RunSpec

# Seconds for a step of 256 images of CIFAR-10 on two cores of a server's CPU, in float32, one training at a time.
STEP_SECONDS = {
    "vgg5": 0.3,
    "vgg8": 0.5,
    "vgg11": 1.1,
    "vgg13": 1.6,
    "vgg16": 2.0,
    "resnet20": 0.55,
    "resnet20b": 0.6,
    "resnet32": 0.9,
    "resnet18": 3.0,
    "fastnet": 0.2,
    "smallnet": 0.06,
    "smallnet1x1": 0.04,
}
STRIDED = 0.2  # of that, where the first layer reads patches side by side: a ninth of the pixels remain
SETTLED = 5.0  # seconds of training before the pace is believed


def expected_seconds(spec: RunSpec) -> float:
    """Seconds that a run takes on such a machine; on others the proportions of different networks are alike."""
    step = STEP_SECONDS[spec.model] * (STRIDED if spec.stride > 1 else 1.0)
    return spec.steps * step * spec.batch_size / 256


class Remaining:
    """What is left of some trainings, by their pace so far.

    Parameters
    ----------
    specs : collection of RunSpec
        All that will be trained.
    clock : callable, optional
        Seconds from some moment on.
    """

    def __init__(self, specs: Collection[RunSpec], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._whole = {spec.hash: expected_seconds(spec) for spec in specs}
        self._left = dict(self._whole)
        self._heard: set[str] = set()
        self._began: float | None = None
        self._done = 0.0  # since then

    def move(self, name: str, share: float) -> None:
        """A run, by its hash, is done by a share of 0 to 1; what the first word of it says was done before."""
        if self._began is None:
            self._began = self._clock()
        left = self._whole[name] * (1 - share)
        if name in self._heard:
            self._done += self._left[name] - left
        self._heard.add(name)
        self._left[name] = left

    @property
    def share(self) -> float:
        """How much of all is done, 0 to 1."""
        return 1 - sum(self._left.values()) / max(sum(self._whole.values()), 1e-9)

    @property
    def seconds(self) -> float | None:
        """Seconds until all have ended; None while too little has been seen to tell."""
        if self._began is None or self._done <= 0:
            return None
        took = self._clock() - self._began
        return sum(self._left.values()) * took / self._done if took >= SETTLED else None
