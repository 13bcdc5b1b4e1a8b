"""Findings: what the numbers of an inspection mean, in plain sentences."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from firstlight.inspection.channels import channel_order
from firstlight.theory.formula import PEAK
from firstlight.theory.null import percentile
from firstlight.utils.text import counted, plural

if TYPE_CHECKING:
    from firstlight.filters.bank import FilterBank
    from firstlight.inspection.inspection import Inspection

# A p-value below which random filters are ruled out.
SIGNIFICANT = 0.05
# The paper's lowest correlation of eq. 3 with its own networks (Table 3, ImageNet); its highest is 0.96.
PAPER = (0.90, 0.96)
# Training times that fit as well as the best, over so wide a range, say nothing about the time.
_OPEN = 30.0
# A channel with less than this share of the energy is hardly used; channels this alike are copies of each other.
_UNUSED, _COPIES = 0.005, 0.999
_SHOWN = 12
_START = ", after subtracting the initial filters: --initial"


def explain(found: "Inspection") -> list[str]:
    """The findings of an inspection, the most important first."""
    if found.profile.energy.max() == 0:
        return ["has not moved since its initialisation" if found.profile.change else "all weights are zero"]
    untrained = found.null is not None and found.null.share_above(spread=found.spread) >= SIGNIFICANT
    return [
        *_training(found, untrained),
        *_fit(found, untrained),
        *_filters(found, untrained),
        *_channels(found.bank),
        *_how(found),
    ]


def _training(found: "Inspection", untrained: bool) -> Iterable[str]:
    if found.null is None:
        yield f"eq. 3 cannot be fitted: {found.unfitted}"
        return
    what = "change" if found.profile.change else "profile"
    share = found.null.share_above(spread=found.spread)
    if untrained:
        yield (
            f"looks untrained: its {what} is as even as that of random filters "
            f"(more uneven ones: {share:.0%} of random banks)"
            + ("" if found.profile.change else "; what a short training adds to them shows with --initial")
        )
        return
    fit = found.fit
    if fit is None:
        yield f"looks trained, but eq. 3 cannot be fitted: {found.unfitted}"
    elif fit.correlation <= percentile(found.null.correlations):
        yield (
            f"looks trained, since its {what} is more uneven than random ones, but eq. 3 does not describe it: "
            f"r = {fit.correlation:.2f}, which random filters reach too (95th percentile {_p95(found):.2f})"
        )
    elif fit.bound == "late":
        yield "trained, whitened in all components: energy is proportional to 1/λ"
    elif whitened := int(np.sum(fit.tau * found.basis.variance >= PEAK)):
        yield f"trained, partial whitening up to component {whitened}"
    else:
        yield "trained, but not whitened yet: energy is largest where the patches' variance is"


def _fit(found: "Inspection", untrained: bool) -> Iterable[str]:
    fit = found.fit
    if fit is None or found.null is None or untrained:
        return
    if _p95(found) < fit.correlation < PAPER[0]:
        yield (
            f"fits eq. 3 worse than the paper's own networks: r = {fit.correlation:.2f} (random filters "
            f"{found.null.correlations.mean():.2f}, 95th percentile {_p95(found):.2f}; the paper {PAPER[0]:.2f} to "
            f"{PAPER[1]:.2f}{'' if found.profile.change else _START}), as do networks trained for long with momentum, "
            "weight decay and augmentation: no training time explains such a profile"
        )
    low, high = fit.tau_range
    if high > _OPEN * max(low, np.finfo(float).tiny):
        yield f"the training time is hardly determined: tau from {low:.3g} to {high:.3g} fits as well, within 0.01"


def _filters(found: "Inspection", untrained: bool) -> Iterable[str]:
    count, faults = len(found.bank), found.faults
    if faults.dead:
        yield f"{_of(faults.dead, count)} dead, with hardly any weight: {_numbers(faults.dead)}"
    if faults.duplicates:
        groups = "; ".join(_numbers(group, " = ") for group in faults.duplicates[:_SHOWN])
        rest = len(faults.duplicates) - _SHOWN
        more = f"; and {counted(rest, 'more group')}" if rest > 0 else ""
        yield f"duplicate filters, equal but for a factor: {groups}{more}"
    if faults.noise and not untrained:
        yield f"{_of(faults.noise, count)} like noise, without structure: {_numbers(faults.noise)}"


def _channels(bank: "FilterBank") -> Iterable[str]:
    """What the filters say about the channels of the input."""
    weight = bank.weight
    if weight.shape[1] != 3:
        return
    flat = weight.transpose(1, 0, 2, 3).reshape(3, -1) / np.abs(weight).max()
    power = np.sum(flat**2, axis=1)
    unit = flat / np.sqrt(np.maximum(power, np.finfo(float).tiny))[:, None]
    if (unit @ unit.T).min() >= _COPIES:
        yield "all input channels have the same weights: it sees gray, as when gray images are repeated three times"
        return
    for channel in np.flatnonzero(power < _UNUSED * power.sum()):
        yield f"input channel {channel} is hardly used: {power[channel] / power.sum():.2%} of the energy"
    order = channel_order(bank)
    if order.verdict == "bgr":
        yield (
            "input channels look swapped (BGR): the last takes more spatial detail than the first, as red does "
            f"(contrast {order.statistic:+.2f}; beyond ±{order.threshold:.2f} tells; {order.validation}); check the "
            "order that is fed"
        )


def _how(found: "Inspection") -> Iterable[str]:
    """How the filters were found, and what is shown of them."""
    bank = found.bank
    if bank.batch_norm:
        yield (
            f"a batch normalisation follows, {bank.batch_norm}: shown is the profile of the filters alone; "
            "--fold-batch-norm applies its scale"
        )
    if bank.alternatives:
        shown = "; ".join(bank.alternatives[:_SHOWN])
        more = f"; and {len(bank.alternatives) - _SHOWN} more" if len(bank.alternatives) > _SHOWN else ""
        yield f"{bank.layer} was taken for the first layer; these fit as well: {shown}{more}; choose with --layer"
    yield from bank.notes


def _p95(found: "Inspection") -> float:
    assert found.null is not None
    return percentile(found.null.correlations)


def _of(numbers: tuple[int, ...], count: int) -> str:
    return f"{len(numbers)} of {counted(count, 'filter')} {plural(len(numbers), 'is', 'are')}"


def _numbers(numbers: tuple[int, ...], separator: str = ", ") -> str:
    """Filters by number, counted from 0; the first dozen of many."""
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return separator.join(map(str, numbers[:_SHOWN])) + more
