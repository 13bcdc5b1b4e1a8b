"""The claims of the experiment `patch-statistics`: P1 and N3 of the criteria."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim, magnitude
from firstlight.experiments.learning import Reached
from firstlight.experiments.networks import SCALE, SCALED, Trained
from firstlight.experiments.shared.fits import RANDOM_BANKS, null_of
from firstlight.experiments.shared.notes import number, percent
from firstlight.experiments.shared.tables import at_ends, rows_where
from firstlight.experiments.verdicts import Condition, Kind
from firstlight.theory.null import gaussian_profiles

FACTOR = 1.5  # within which measured and predicted share must agree
SHARES: dict[str, tuple[str, Kind]] = {
    "P1": ("vgg11-scaled5", "published claim"),
    "P1.component15": ("vgg11-scaled15", "published claim"),
    "P1.resnet20-component5": ("resnet20-scaled5", "own finding"),
    "P1.resnet20-component15": ("resnet20-scaled15", "own finding"),
}


def judge(groups: Mapping[str, Trained], eigenvalues: pd.DataFrame, shares: pd.DataFrame) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    groups : mapping of str to Trained
        The networks by name.
    eigenvalues, shares : DataFrame
        As `patch_statistics.eigenvalue_table` and `share_table` make them.
    """
    claims = [share_claim(name, kind, groups[network], shares) for name, (network, kind) in SHARES.items()]
    for component in SCALED:
        reason = "" if component in set(eigenvalues.scaled_component) else groups[f"vgg11-scaled{component}"].reason
        claims.append(eigenvalue_claim(component, rows_where(eigenvalues, scaled_component=component), reason))
    return claims


def share_claim(name: str, kind: Kind, group: Trained, shares: pd.DataFrame) -> Claim:
    """Whether the energy in the scaled component of one network is what eq. 3 predicts with the changed eigenvalue."""
    subject = group.network.title
    if not group:
        return Claim.judged(name, reason=group.reason, subject=subject, kind=kind, figure="profiles")
    firsts, ends = at_ends(rows_where(shares, network=group.network.name))
    plain = rows_where(shares, network=f"{group.network.model}-stride3", component=ends.component.iloc[0])
    filters, components = len(group.runs[0].initial), group.runs[0].initial[0].size
    squares = gaussian_profiles(filters, (RANDOM_BANKS, components), np.random.default_rng(0)) ** 2
    predicted = (ends.share / ends.over_changed).mean()
    banks = squares[:, 0] / squares.sum(axis=1) / predicted
    return Claim.judged(
        name,
        Condition.over_seeds(
            "share of the energy in the component, measured over predicted with the changed eigenvalue",
            ends.over_changed,
            least=1 / FACTOR,
            most=FACTOR,
            after_one_step=firsts.over_changed,
        ),
        Condition.over_seeds(
            "by how much nearer than with the unchanged eigenvalue, |log measured / predicted|",
            nearer(ends),
            least=0.0,
            after_one_step=nearer(firsts),
        ),
        subject=subject,
        kind=kind,
        reached=[Reached.of(subject, group.runs)],
        lambda_alone=ends.over_lambda,
        null=null_of(banks, f"{RANDOM_BANKS} random banks of {filters} filters, over the mean prediction"),
        note=note(ends, plain),
        figure="profiles",
    )


def nearer(rows: pd.DataFrame) -> list[float]:
    """How much nearer, as a logarithm, the prediction with the changed eigenvalue is than that with the unchanged."""
    return (np.log(rows.over_unchanged).abs() - np.log(rows.over_changed).abs()).tolist()


def note(ends: pd.DataFrame, plain: pd.DataFrame) -> str:
    """The shares themselves, the networks on unscaled patches, and how eq. 3 fits."""
    changed, unchanged = ends.share / ends.over_changed, ends.share / ends.over_unchanged
    _, before = at_ends(plain)
    beside = (
        f" Networks on unscaled patches have {percent(before.share)} there, {number(before.over_changed)} times what "
        "eq. 3 predicts for them."
        if len(before)
        else ""
    )
    return (
        f"The component has {percent(ends.share)} of the energy; eq. 3 predicts {percent(changed)} with the changed "
        f"and {percent(unchanged)} with the unchanged eigenvalue.{beside} Over all components it correlates "
        f"{number(ends.correlation)} and {number(ends.correlation_unchanged)}."
    )


def eigenvalue_claim(component: int, table: pd.DataFrame, reason: str) -> Claim:
    """Whether the scaled component's eigenvalue is what arithmetic says; `reason` is why it was not measured."""
    name = "N3" if component == SCALED[0] else f"N3.component{component}"
    if reason:
        return Claim.judged(name, reason=reason, subject=f"component {component}")
    row = rows_where(table, component=component).iloc[0]
    others = (table.ratio[table.component != component] - 1).abs().max()
    return Claim.judged(
        name,
        Condition.of_data("relative error of α²λ²", abs(row.ratio / SCALE**2 - 1), most=1e-3),
        subject=f"component {component}",
        note=f"α = {SCALE:g}. Among the components of the scaled patches it is number {row.changed_component:.0f}, "
        f"whose direction agrees to a cosine of {row.cosine:.6f}; no other variance changes by more than "
        f"{magnitude(others, '.1g')} of itself.",
        replicates="data set",
    )
