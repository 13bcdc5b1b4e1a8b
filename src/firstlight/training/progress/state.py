"""How far a training is: what it tells its caller."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of a training after `step` updates.

    Attributes
    ----------
    step, steps : int
        Updates done, updates in all.
    loss : float
        Of the latest batch; NaN before the first.
    accuracy : float
        0 to 1, mean over the batches since the last record; NaN before the first.
    images_per_second : float
        Of this process so far; NaN before the first batch.
    initial : ndarray, shape (K, C, kh, kw), float32
        The first layer before training.
    filters : ndarray, shape (K, C, kh, kw), float32, or None
        The first layer at this step if it was recorded. The first report of a resumed training brings the latest
        record.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    initial: np.ndarray
    filters: np.ndarray | None
