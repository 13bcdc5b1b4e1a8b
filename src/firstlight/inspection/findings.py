"""Findings: what the numbers of an inspection mean, in plain sentences."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from firstlight.inspection.channels import channel_order
from firstlight.inspection.doubt import SIGNIFICANT, by_channel
from firstlight.inspection.finding import Finding
from firstlight.inspection.measures import DEAD
from firstlight.inspection.theories import regime
from firstlight.theory.formula import PEAK
from firstlight.theory.null import percentile
from firstlight.utils.text import counted, plural, printable

if TYPE_CHECKING:
    from firstlight.filters.bank import FilterBank
    from firstlight.inspection.inspection import Inspection

# Training times that fit as well as the best, over so wide a range, say nothing about the time.
_OPEN = 30.0
# A channel with less than this share of the energy is hardly used.
_UNUSED = 0.005
_SHOWN = 12
_FEWEST_COMPONENTS = 3
_LARGEST = 3  # differences from eq. 3 that are named
_GREY = Finding(
    "grey-input",
    "all input channels have the same weights: it sees grey, as when grey images are repeated three times; nothing is "
    "said of its training, since of the components of colour images it sees the grey ones alone",
    "add the channels up, and look at the sum",
)
_WHITENED = 0.5  # distance from whitening, beyond which equal energy in all components is nearer
_NO_THEORY = "nothing to do: eq. 3 knows no momentum, weight decay or augmentation"


def explain(found: "Inspection") -> list[Finding]:
    """The findings of an inspection, the most important first."""
    doubt = found.doubt
    if doubt in ("all-zero", "not-moved"):
        return [_nothing_there(found)]
    if doubt == "grey-input":
        learnt = [_GREY]
    elif doubt == "untrained":
        learnt = [_untrained(found)]
    else:
        learnt = [*_learnt(found), *_regime(found), *_among_others(found)]
    return [
        *_few_patches(found),
        *learnt,
        *_filters(found),
        *(() if doubt == "grey-input" else _channels(found.bank)),
        *_how(found),
    ]


def _few_patches(found: "Inspection") -> Iterable[Finding]:
    if shortage := found.basis.shortage:
        yield Finding("few-patches", shortage, "give more images, or larger ones")


def _nothing_there(found: "Inspection") -> Finding:
    if found.profile.change:
        return Finding(
            "not-moved", "has not moved since its initialisation", "see whether the optimiser was given this layer"
        )
    return Finding("all-zero", "all weights are zero", "see whether the file was written whole")


def _untrained(found: "Inspection") -> Finding:
    assert found.null is not None
    assert found.shuffled is not None
    what = "change" if found.profile.change else "profile"
    share = found.null.share_above(spread=found.spread)
    return Finding(
        "untrained",
        f"looks untrained: its {what} is as even as that of random filters of the same norms (more uneven ones: "
        f"{share:.0%} of random banks)"
        if share >= SIGNIFICANT
        else f"looks untrained: its {what} is as uneven as with each filter's own weights in random order (more "
        f"uneven ones: {found.shuffled:.0%} of the orders)",
        "train longer"
        if found.profile.change
        else "where it was trained, give the filters at its start with --initial: a short training shows only there",
    )


def _learnt(found: "Inspection") -> Iterable[Finding]:
    fit, null = found.fit, found.null
    if fit is None or null is None:
        # Without a null nothing tells a trained bank from a random one.
        looks = "" if null is None else "looks trained, but "
        few = found.basis.size < _FEWEST_COMPONENTS
        yield Finding(
            "no-eq-3",
            f"{looks}eq. 3 cannot be fitted: {found.unfitted}",
            "nothing to do: filters this small have too few components"
            if few
            else "look with images that vary (--data)",
        )
        return
    eq3 = found.theories.eq3 if found.theories else None
    assert eq3 is not None
    chance = f"random banks {null.correlations.mean():.2f}, 95% below {percentile(null.correlations):.2f}"
    rest = _rest(found)
    if not eq3.beyond_chance:
        if eq3.null > eq3.random:
            chance += f", of shuffled profiles below {eq3.null:.2f}"
        yield Finding(
            "not-eq-3",
            f"looks trained, more uneven than random filters, but eq. 3 does not describe it: r = "
            f"{fit.correlation:.2f} ({chance}){rest}",
            _NO_THEORY,
        )
        return
    said = f"it follows eq. 3 with r = {fit.correlation:.2f} ({chance}){rest}"
    whitened = int(np.sum(fit.tau * found.basis.variance >= PEAK))
    if found.theories and found.theories.better == "composition":
        yield Finding(
            "follows-eq-3", f"looks trained: {said}, but composition describes it better: nothing is said of whitening"
        )
        return
    if fit.log_r2 < 0:
        yield Finding(
            "follows-eq-3",
            f"looks trained: {said}, but not in the logarithm (R² {fit.log_r2:.2f}): nothing is said of whitening",
            "nothing to do"
            if found.profile.change
            else "give the filters at its start with --initial, if you have them",
        )
    elif fit.bound == "late" and found.whitening < _WHITENED:
        yield Finding("whitened", f"looks trained, and whitened in all components, with energy as 1/λ: {said}")
    elif fit.bound == "late":
        yield Finding(
            "follows-eq-3",
            f"looks trained: {said}; whitening fits best of all times, but its distance from it is "
            f"{found.whitening:.2f} (0 is whitened, 1 equal energy)",
            "look with the images that it was trained on (--data)",
        )
    elif whitened:
        yield Finding("partly-whitened", f"looks trained, with partial whitening up to component {whitened}: {said}")
    else:
        yield Finding(
            "not-whitened",
            f"looks trained, but not whitened yet, with more energy where the patches vary more: {said}",
            "nothing to do, or train longer",
        )
    low, high = fit.tau_range
    if high > _OPEN * max(low, np.finfo(float).tiny):
        yield Finding(
            "open-time",
            f"the training time is hardly determined: tau from {low:.3g} to {high:.3g} fits as well, within 0.01",
            "do not compare its tau with others'",
        )


def _regime(found: "Inspection") -> Iterable[Finding]:
    """Which of the two theories describes it."""
    said = regime(found.theories) if found.theories else None
    return [said] if said else []


def _rest(found: "Inspection") -> str:
    """Where the profile lies furthest from eq. 3, in components; nothing where that is nowhere far."""
    assert found.fit is not None
    energy = found.profile.energy
    difference = energy - found.fit.prediction
    largest = np.argsort(-np.abs(difference), kind="stable")[:_LARGEST]
    far = [int(at) for at in largest if abs(difference[at]) > 0.25 * energy.max()]
    above = ", ".join(str(at + 1) for at in far if difference[at] > 0)
    below = ", ".join(str(at + 1) for at in far if difference[at] < 0)
    parts = [*([f"more energy in {above}"] if above else []), *([f"less in {below}"] if below else [])]
    return f", with {' and '.join(parts)}" if parts else ""


def _among_others(found: "Inspection") -> Iterable[Finding]:
    """Where it stands among known networks."""
    place = found.standing
    if place is None:
        return
    name = printable(place.nearest.name)
    shown = f"r = {place.correlation:.2f}; 95% of random banks below {place.chance:.2f}"
    known = counted(place.networks, "known network")
    like = f"most like {name} ({shown}) of {known}"
    if place.correlation <= place.chance:
        like = f"like none of {known}, {name} being the nearest ({shown})"
    measures = {"fit": "r with eq. 3", "rank": "effective rank", "whitening": "distance from whitening"}
    above = ", ".join(f"{measures[measure]} {share:.0%}" for measure, share in place.shares.items())
    yield Finding("standing", f"{like}; above so many of them: {above}" if above else like)


def _filters(found: "Inspection") -> Iterable[Finding]:
    count, faults = len(found.bank), found.faults
    if faults.dead:
        yield Finding(
            "dead-filters",
            f"{_of(faults.dead, count)} dead, of norms and responses below {DEAD:.0%} of the upper quartile: "
            f"{_numbers(faults.dead)}",
            "look with --fold-batch-norm before they go: its scale may bring them back"
            if found.bank.batch_norm
            else "they can go: where that was tried, it cost no accuracy",
        )
    if faults.duplicates:
        groups = "; ".join(_numbers(group, " = ") for group in faults.duplicates[:_SHOWN])
        more = f"; and {len(faults.duplicates) - _SHOWN} more groups" if len(faults.duplicates) > _SHOWN else ""
        yield Finding(
            "duplicate-filters",
            f"duplicate filters, equal but for a factor: {groups}{more}",
            "see whether they were copied; one of each can do the work of all",
        )


def _channels(bank: "FilterBank") -> Iterable[Finding]:
    """What filters that tell colours apart say about the channels of the input."""
    if bank.weight.shape[1] != 3:
        return
    _, power = by_channel(bank.weight)
    for channel in np.flatnonzero(power < _UNUSED * power.sum()):
        yield Finding(
            "unused-channel",
            f"input channel {channel} is hardly used: {power[channel] / power.sum():.2%} of the energy",
            "see whether it was fed",
        )
    order = channel_order(bank)
    if order.verdict == "bgr":
        yield Finding(
            "bgr",
            "input channels look swapped (BGR): the last takes more spatial detail than the first, as red does where "
            f"networks learn from photographs (contrast {order.statistic:+.2f}; beyond ±{order.threshold:.2f} tells; "
            f"{order.validation})",
            "check the order that is fed",
        )


def _how(found: "Inspection") -> Iterable[Finding]:
    """How the filters were found, and what is shown of them."""
    bank = found.bank
    if bank.batch_norm:
        yield Finding(
            "batch-norm",
            f"a batch normalisation follows, {bank.batch_norm}: shown is the profile of the filters alone",
            "--fold-batch-norm applies its scale",
        )
    if bank.alternatives:
        shown = "; ".join(bank.alternatives[:_SHOWN])
        more = f"; and {len(bank.alternatives) - _SHOWN} more" if len(bank.alternatives) > _SHOWN else ""
        yield Finding(
            "other-layers",
            f"{bank.layer} was taken for the first layer; these fit as well: {shown}{more}",
            "choose with --layer",
        )
    yield from (Finding("how-read", note) for note in bank.notes)


def _of(numbers: tuple[int, ...], count: int) -> str:
    return f"{len(numbers)} of {counted(count, 'filter')} {plural(len(numbers), 'is', 'are')}"


def _numbers(numbers: tuple[int, ...], separator: str = ", ") -> str:
    """Filters by number, counted from 0; the first dozen of many."""
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return separator.join(map(str, numbers[:_SHOWN])) + more
