"""The claims of `patch-statistics`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim, magnitude
from firstlight.experiments.shared.notes import number, training_note
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.tables import at_last_step, rows_where


def judge(
    scale: float,
    eigenvalues: pd.DataFrame,
    fits: pd.DataFrame,
    networks: pd.DataFrame,
    random_banks: pd.DataFrame,
    missing: Mapping[tuple[str, int], str],
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    scale : float
        α, what the components' coefficients are multiplied by.
    eigenvalues, fits, networks : DataFrame
        As `patch_statistics.eigenvalue_table`, `fit_table` and `network_table` make them.
    random_banks : DataFrame
        A row a network and scaled component, as `patch_statistics.random_row` makes it.
    missing : mapping of (model, scaled component) to str
        Why networks are not there; component 0 is none scaled.
    """
    claims = []
    for _, null in random_banks.iterrows():
        model, component = str(null.model), int(null.scaled_component)
        name, title = f"patch-statistics/{model}/component-{component}", MODELS[model]
        reason = missing.get((model, component), "")
        last = at_last_step(rows_where(fits, model=model))
        own, unchanged = (
            rows_where(last, scaled_component=component, eigenvalues=side).set_index("seed")
            for side in ("own", "unchanged")
        )
        table = rows_where(eigenvalues, scaled_component=component)
        error = abs(rows_where(table, component=component).ratio.iloc[0] / scale**2 - 1)
        claims += [
            Claim.judged(
                [error],
                lambda error: error < 1e-3,
                name=f"{name}/eigenvalue",
                figure="eigenvalues",
                statement=f"scaling component {component} of every patch by α = {scale:g} makes its eigenvalue α²λ²",
                source="paper Fig. 8b",
                published="α²λ²",
                quantity="relative error of α²λ² as the variance of the scaled patches along that component",
                criterion="it is below 0.001",
                replicates="data set",
                note=eigenvalue_note(table, component, error),
            ),
            Claim.judged(
                [] if reason else own.correlation.tolist(),
                lambda mean: mean >= 0.8,
                name=f"{name}/formula-follows",
                figure="profiles",
                statement=f"with component {component} of the patches scaled, {title}'s profile still follows eq. 3, "
                "with the changed eigenvalue",
                source="paper Fig. 8b, Fig. 18",
                published="still fits (Fig. 8b)",
                quantity="correlation at the best t, last step",
                criterion="the mean over seeds is at least 0.8",
                note=reason or fit_note(own, last, rows_where(networks, model=model), null),
            ),
            Claim.judged(
                [] if reason else (own.correlation - unchanged.correlation).tolist(),
                lambda mean: mean > 0,
                name=f"{name}/better-than-unchanged",
                figure="fit_over_steps",
                statement=f"with component {component} of the patches scaled, eq. 3 fits {title} better with the "
                "changed eigenvalue than with the one before",
                source="paper Fig. 8b, Fig. 18",
                published="-",
                quantity="correlation with the changed less that with the unchanged eigenvalues, each at its best t",
                criterion="the mean over seeds is above 0",
                note=reason or difference_note(own, unchanged, null),
            ),
        ]
    return claims


def eigenvalue_note(table: pd.DataFrame, component: int, error: float) -> str:
    """The error, how the order changes, and that the rest does not."""
    if not np.isfinite(error):
        return f"The images have no variance in component {component}."
    row = rows_where(table, component=component).iloc[0]
    others = (table.loc[table.component != component].ratio - 1).abs().max()
    return (
        f"The error is {magnitude(error, '.1g')}. Among the components of the scaled patches it is number "
        f"{row.changed_component:.0f}, whose direction agrees to a cosine of {row.cosine:.6f}; no other variance "
        f"changes by more than {magnitude(others, '.1g')} of itself. This is a property of the data set, the same for "
        "both networks."
    )


def fit_note(own: pd.DataFrame, last: pd.DataFrame, networks: pd.DataFrame, null: pd.Series) -> str:
    """What the correlation must be read against: training so far, λ, chance, the networks on unscaled patches."""
    plain = rows_where(last, scaled_component=0)
    reached, reached_plain = (
        rows_where(at_last_step(networks), scaled_component=scaled) for scaled in (int(null.scaled_component), 0)
    )
    beside = (
        f" On unscaled patches eq. 3 fits to {number(plain.correlation)} and λ alone to "
        f"{number(plain.correlation_lambda)} ({training_note(reached_plain)})."
        if len(plain)
        else ""
    )
    return (
        f"After step {own.step.iloc[0]}, the last: {training_note(reached)}. The changed λ alone, the limit of small "
        f"t, correlates {number(own.correlation_lambda)}; random banks of this shape {null['mean']:.2f} on average, "
        f"95th percentile {null.percentile_95:.2f}, with the same freedom to choose t.{beside}"
    )


def difference_note(own: pd.DataFrame, unchanged: pd.DataFrame, null: pd.Series) -> str:
    """Both correlations of the difference, what chance makes of it, and the one component that decides it."""
    component = int(null.scaled_component)
    changed, before = (factor(side.relative_energy) for side in (own, unchanged))
    return (
        f"{number(own.correlation)} with the changed and {number(unchanged.correlation)} with the unchanged "
        f"eigenvalues; for λ alone {number(own.correlation_lambda)} and {number(unchanged.correlation_lambda)}. For "
        f"random banks the 95th percentile of the difference is {null.difference_percentile_95:.2f}. The energy in "
        f"component {component} itself is {changed} what eq. 3 predicts with the changed eigenvalue, and {before} what "
        "it predicts with the unchanged one."
    )


def factor(values: pd.Series) -> str:
    """The mean of some factors, for a note."""
    mean = values.mean(skipna=False)
    return "an undefined multiple of" if pd.isna(mean) else f"{mean:.2f} times"
