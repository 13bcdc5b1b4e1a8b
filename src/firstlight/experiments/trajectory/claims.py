"""The claims of the experiment `trajectory`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.tables import spearman

LEAST_FITS = 5  # steps with a fitted tau that a slope needs
# A criterion and the texts of a claim; what it measured of every seed, and its note.
Texts = tuple[Callable[[float], bool], dict[str, str]]
Found = tuple[list[float], str]


def judge(steps: pd.DataFrame, failures: Mapping[str, str]) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    steps : DataFrame
        A row a run and recorded step, as `trajectory.step_table` makes it.
    failures : mapping of str to str
        Why the claims on a network cannot be tested, by network.
    """
    claims = []
    for model, title in MODELS.items():
        rows = steps.query("model == @model")
        groups = [rows.query("seed == @seed") for seed in rows.seed.unique()]
        for (holds, texts), measure in zip(claim_texts(model, title), (peak_moves, tau_grows, same_step), strict=True):
            values, note = ([], failures[model]) if model in failures else measure(groups)
            claims.append(Claim.judged(values, holds, **texts, note=note))
    return claims


def claim_texts(model: str, title: str) -> list[Texts]:
    """The three claims on a network: criterion and texts."""
    return [
        (
            lambda mean: mean >= 0.5,
            {
                "name": f"trajectory/{model}/peak-moves",
                "figure": "energy_and_peak",
                "statement": f"the peak of {title}'s profile moves to higher components as t grows",
                "source": "paper sec. 4, Fig. 4",
                "published": "moves to higher components",
                "quantity": "rank correlation of the peak component with the step",
                "criterion": "the mean over seeds is at least 0.5",
            },
        ),
        (
            lambda mean: 0.8 <= mean <= 1.2,
            {
                "name": f"trajectory/{model}/tau-grows",
                "figure": "fitted_time",
                "statement": f"the τ fitted to {title}'s profile grows in proportion to lr × steps",
                "source": "eq. 3; paper Theorem 4.2",
                "published": "-",
                "quantity": "slope of log τ against log(lr × steps)",
                "criterion": "the mean over seeds is 0.8 to 1.2",
            },
        ),
        (
            lambda mean: mean >= 0.8,
            {
                "name": f"trajectory/{model}/same-step",
                "figure": "profiles",
                "statement": f"eq. 3 at the training's lr and steps, not fitted, has the shape of {title}'s profile",
                "source": "eq. 3; note sec. 3",
                "published": "-",
                "quantity": "correlation at the last step",
                "criterion": "the mean over seeds is at least 0.8",
            },
        ),
    ]


def peak_moves(groups: list[pd.DataFrame]) -> Found:
    """Rank correlation of peak and step, 0 where the peak never moves."""
    values = [spearman(rows.step, rows.peak_component) if rows.peak_component.nunique() > 1 else 0.0 for rows in groups]
    still = sum(rows.peak_component.nunique() == 1 for rows in groups)
    ends = "; ".join(f"{rows.peak_component.iloc[0]} to {rows.peak_component.iloc[-1]}" for rows in groups)
    predicted = groups[0].predicted_peak_component
    steps = groups[0].step
    return values, (
        f"From step {steps.iloc[0]} to {steps.iloc[-1]} the peak goes from component {ends} (seed by seed); that of "
        f"eq. 3 at the same steps goes from {predicted.iloc[0]} to {predicted.iloc[-1]}."
        + (f" It never moves in {still} of {len(groups)} seeds, which counts as a correlation of 0." if still else "")
    )


def tau_grows(groups: list[pd.DataFrame]) -> Found:
    """Slope of log tau against log(lr * steps), over the steps at which the fit is not at a limit of tau."""
    fitted = [rows[rows.bound == ""] for rows in groups]
    few = [len(rows) for rows in fitted if len(rows) < LEAST_FITS]
    if few:
        return [], (
            f"In {len(few)} of {len(groups)} seeds only {', '.join(map(str, few))} recorded steps have a best τ that "
            f"is not at a limit; a slope needs {LEAST_FITS}."
        )
    values = [slope(rows.lr_times_steps, rows.tau) for rows in fitted]
    formula = groups[0][groups[0].predicted_bound == ""]
    ratios = [(rows.tau / rows.lr_times_steps).iloc[[0, -1]] for rows in fitted]
    listed = "; ".join(f"{first:.2g} to {last:.2g}" for first, last in ratios)
    everything = pd.concat(groups)
    return values, (
        f"τ / (lr × steps) goes from {listed} (first to last of these steps, seed by seed). Of {len(everything)} "
        f"recorded steps, {(everything.bound == 'early').sum()} fit best at the limit of small τ and "
        f"{(everything.bound == 'late').sum()} at that of large τ; they have no τ and are left out."
        + (
            f" Eq. 3 itself, fitted in the same way at the same steps, has a slope of "
            f"{slope(formula.lr_times_steps, formula.predicted_tau):.2f}: the fit is in continuous time, which is "
            "behind by a step."
            if len(formula) >= LEAST_FITS
            else ""
        )
    )


def slope(x: pd.Series, y: pd.Series) -> float:
    """Slope of the line through log y against log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def same_step(groups: list[pd.DataFrame]) -> Found:
    """Correlation with eq. 3 at the last step, with nothing fitted."""
    ends = pd.concat([rows.tail(1) for rows in groups])
    everything = pd.concat(groups).same_step_correlation
    return ends.same_step_correlation.tolist(), (
        f"Over all recorded steps and seeds it runs from {everything.min():.3f} to {everything.max():.3f}. At the last "
        f"step the best τ reaches {ends.correlation.mean():.3f}, and λ itself, the limit of small t, "
        f"{ends.correlation_early.mean():.3f}. Eq. 3 does not know how much the layers above scale the gradient: a "
        "network that learns at another pace follows it at other steps."
    )
