"""After which steps a training is looked at: its first layer, and how it does on test images."""

import math

RECORDS_PER_DECADE = 8


def record_steps(steps: int) -> list[int]:
    """Steps after which the first layer is recorded: 0, about eight a decade on a log scale, and the last.

    Shorter runs record at the same steps as longer ones, up to their own last.

    Parameters
    ----------
    steps : int
        Number of updates of the run, at least 1.

    Returns
    -------
    list of int
        Strictly increasing steps; after step `s` means after `s` updates, so 0 is the initialisation.
    """
    decades = range(math.ceil(RECORDS_PER_DECADE * math.log10(steps)) + 1)
    spaced = {round(10 ** (index / RECORDS_PER_DECADE)) for index in decades}
    return sorted({0, steps} | {step for step in spaced if step < steps})


def is_test_step(step: int, steps: int) -> bool:
    """Whether the test images are looked at after `step` updates: at 10, 32, 100, 316, ... and at the last step.

    1,000 images forward cost about as much as one and a half updates of 256.
    """
    half_decade = step >= 10 and round(10 ** (round(2 * math.log10(step)) / 2)) == step
    return half_decade or step == steps
