"""The claims of the experiment `beyond`: O13 to O20."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from firstlight.experiments.beyond.described import THEORIES, Described
from firstlight.experiments.claims import Claim
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import Trained, reasons
from firstlight.experiments.verdicts import Condition
from firstlight.inspection.window import centre_over_corners
from firstlight.models import MODELS
from firstlight.theory.resampling import interval
from firstlight.training import Run

PROTOCOL = ("vgg11", "resnet20")
PAPER, MODERN, ONE_PIXEL = "smallnet-paper", "smallnet-modern", "smallnet1x1-modern"
JUDGED = (*PROTOCOL, PAPER, MODERN)  # by how well the theories describe them
# Of which of two networks the window is to be narrower.
NARROWER = {"O18": (MODERN, "smallnet-nodecay"), "O19": ("smallnet-width8", "smallnet-width64")}
EARLY = 10  # the window at the end against that within the first so many-th part of the steps
DRAWS = 10_000

Fits = Mapping[str, Sequence[Described]]


def judge(groups: Mapping[str, Trained], fits: Fits, early: Fits, others: Sequence[Described]) -> list[Claim]:
    """Judge everything, of the networks and of the fits to their changes by name, at the end and after one step."""
    return [
        *(protocol_claim(groups[name], fits[name], early[name]) for name in PROTOCOL),
        others_claim(others),
        recipe_claim(groups, fits, early),
        window_claim("O16", groups[MODERN], least=1.0),
        window_claim("O17", groups[ONE_PIXEL], most=1.0),
        *(narrower_claim(row, *(groups[name] for name in pair)) for row, pair in NARROWER.items()),
        training_claim(groups[MODERN]),
    ]


def protocol_claim(group: Trained, found: Sequence[Described], early: Sequence[Described]) -> Claim:
    """Whether eq. 3 describes a network in the paper's protocol better."""
    name, title = f"O13.{group.network.name}", group.network.title
    if not group:
        return Claim.judged(name, subject=title, reason=group.reason)
    return Claim.judged(
        name,
        Condition.over_seeds(
            "r of composition minus r of eq. 3",
            [one.difference for one in found],
            most=0.0,
            after_one_step=[one.difference for one in early],
        ),
        subject=title,
        reached=[Reached.of(title, group.runs)],
        note=f"{_both(found)}.",
        figure="theories",
    )


def others_claim(others: Sequence[Described]) -> Claim:
    """Whether composition describes the networks that were held out better, as a whole."""
    held = [one for one in others if one.counts == "held out"]
    ours, theirs = (np.array([one.r(theory) for one in held]) for theory in ("composition", "eq3"))
    drawn = np.random.default_rng(0).integers(len(held), size=(DRAWS, len(held)))
    differences = np.median(ours[drawn], axis=1) - np.median(theirs[drawn], axis=1)
    better = [one.fit.better for one in held if one.fit]
    refused = [f" Not defined for {one.network}: {one.fit.refusal}." for one in others if one.fit and one.fit.refusal]
    return Claim.judged(
        "O14",
        Condition(
            "median r of composition minus median r of eq. 3",
            (float(np.median(ours) - np.median(theirs)),),
            least=0.0,
            interval=interval(differences),
        ),
        note=(
            f"Medians: composition {np.median(ours):.3f}, eq. 3 {np.median(theirs):.3f}. Network by network, by the "
            f"interval over components: composition {better.count('composition')}, eq. 3 {better.count('eq3')}, "
            f"undecided {better.count('both')}, neither {better.count('neither')}. Of "
            f"{sum(one.known for one in held)} an earlier fit was known when they were drawn.{''.join(refused)}"
        ),
        replicates=f"median over {len(held)} networks",
        figure="theories",
    )


def recipe_claim(groups: Mapping[str, Trained], fits: Fits, early: Fits) -> Claim:
    """Whether the modern recipe moves a network towards composition."""
    trained = [groups[name] for name in (MODERN, PAPER)]
    subject = MODELS[trained[0].network.model].title
    if missing := reasons(trained):
        return Claim.judged("O15", subject=subject, reason=missing)
    gains, first = (
        [ours.difference - theirs.difference for ours, theirs in zip(one[MODERN], one[PAPER], strict=True)]
        for one in (fits, early)
    )
    return Claim.judged(
        "O15",
        Condition.over_seeds(
            "r of composition minus r of eq. 3, modern minus paper's", gains, least=0.0, after_one_step=first
        ),
        subject=subject,
        reached=_reached(*trained),
        note=f"Modern recipe: {_both(fits[MODERN])}. Paper's recipe: {_both(fits[PAPER])}.",
        figure="theories",
    )


def window_claim(name: str, group: Trained, **bounds: float) -> Claim:
    """Whether the filters of one network are windowed."""
    if not group:
        return Claim.judged(name, subject=group.network.title, reason=group.reason)
    return Claim.judged(
        name,
        Condition.over_seeds(
            "centre over corners",
            [centre_over_corners(run.final) for run in group.runs],
            after_one_step=[centre_over_corners(run.filters[1]) for run in group.runs],
            **bounds,
        ),
        subject=group.network.title,
        reached=_reached(group),
    )


def narrower_claim(name: str, group: Trained, other: Trained) -> Claim:
    """Whether the window of one network is narrower than that of another, pair by pair of the same seed."""
    subject = f"{group.network.title} and {other.network.title}"
    if missing := reasons([group, other]):
        return Claim.judged(name, subject=subject, reason=missing)
    ours, theirs = ([centre_over_corners(run.final) for run in one.runs] for one in (group, other))
    return Claim.judged(
        name,
        Condition.over_seeds("log of centre over corners, one minus the other", _logs(ours, theirs), least=0.0),
        subject=subject,
        reached=_reached(group, other),
        note=f"Centre over corners: {np.mean(ours):.2f} and {np.mean(theirs):.2f}.",
    )


def training_claim(group: Trained) -> Claim:
    """Whether the window of a network narrows while it is trained."""
    if not group:
        return Claim.judged("O20", subject=group.network.title, reason=group.reason)
    place = early_place(group.runs[0])
    ends, early = ([centre_over_corners(run.filters[at]) for run in group.runs] for at in (-1, place))
    step = int(group.runs[0].steps[place])
    return Claim.judged(
        "O20",
        Condition.over_seeds("log of centre over corners, end minus early", _logs(ends, early), least=0.0),
        subject=group.network.title,
        reached=_reached(group),
        note=f"Centre over corners: {np.mean(early):.2f} at step {step:,}, {np.mean(ends):.2f} at the end.",
    )


def early_place(run: Run) -> int:
    """Index of the last recorded step within the first tenth of a training; the initialisation where there is none."""
    return int(np.flatnonzero(run.steps * EARLY <= run.steps[-1])[-1])


def _logs(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [math.log(one) - math.log(other) for one, other in zip(ours, theirs, strict=True)]


def _reached(*groups: Trained) -> list[Reached]:
    return [Reached.of(group.network.title, group.runs) for group in groups]


def _both(found: Sequence[Described]) -> str:
    return " and ".join(
        f"{np.mean([one.r(theory) for one in found]):.3f} with {name}" for theory, name in THEORIES.items()
    )
