"""The claims of the experiment `initialisation`: O7 to O12, each on every network."""

from collections.abc import Mapping

from firstlight.experiments.claims import Claim
from firstlight.experiments.context import Context
from firstlight.experiments.initialisation.rates import Tuned
from firstlight.experiments.networks import START_RATES, STARTS, started
from firstlight.experiments.verdicts import Condition
from firstlight.models import MODELS

LEAST = 0.01
# Which start is to be ahead of which, and whether after few steps or at the last one.
COMPARED = {
    "O7": ("pca", "default", 0),
    "O8": ("pca", "default", 1),
    "O9": ("pca-frozen", "default", 1),
    "O10": ("eq3", "default", 1),
    "O11": ("pca", "orthogonal", 1),
    "O12": ("pca", "spectrum", 1),
}


def judge(context: Context, found: Mapping[str, Mapping[str, Tuned]]) -> list[Claim]:
    """Judge every comparison on every network, of their starts by name."""
    return [claim(context, row, model, found[model]) for row in COMPARED for model in START_RATES]


def claim(context: Context, row: str, model: str, starts: Mapping[str, Tuned]) -> Claim:
    """Whether one start is ahead of another, pair by pair of the same seed."""
    start, other, late = COMPARED[row]
    name, subject = f"{row}.{model}", MODELS[model].title
    if absent := [one for one in (start, other) if one not in starts]:
        reason = context.absence(started(model, absent[0], START_RATES[model][0]))
        waits = f"no run: {subject} with {STARTS[absent[0]][0]} is not trained at every learning rate yet"
        return Claim.judged(name, subject=subject, reason=reason or waits)
    ours, theirs = starts[start], starts[other]
    step = sorted(ours.values)[late if len(ours.values) > 1 else 0]
    gains = ours.values[step] - theirs.values[step]
    return Claim.judged(
        name,
        Condition.over_seeds("test accuracy, one minus the other", list(gains), least=LEAST),
        subject=subject,
        # What few steps teach is little by its nature; at the end a network that has learnt nothing says nothing.
        reached=[starts["default"].reached] if late and "default" in starts else (),
        note=(
            f"After {step:,} steps: {_described(ours, start, step)}; {_described(theirs, other, step)}. Learning rates "
            f"{', '.join(f'{rate:g}' for rate in START_RATES[model])} were tried for each."
        ),
        figure="accuracy",
    )


def _described(own: Tuned, start: str, step: int) -> str:
    rates = ", ".join(f"{rate:g}" for rate in sorted(set(own.rates[step])))
    return f"{STARTS[start][0]} {own.values[step].mean():.1%} at lr {rates}"
