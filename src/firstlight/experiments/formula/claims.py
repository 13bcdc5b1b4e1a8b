"""The claims of the experiment `formula`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.fits import RANDOM_BANKS
from firstlight.experiments.shared.notes import number, number_range
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.tables import spearman

UNDEFINED = "undefined (a component has no energy)"
# A criterion: what the mean over seeds must satisfy.
Holds = Callable[[float], bool]


def judge(
    fits: pd.DataFrame, random_banks: pd.DataFrame, learning: pd.DataFrame, failures: Mapping[str, str] | None = None
) -> list[Claim]:
    """Judge the claims on networks trained on all classes, and on random banks.

    Parameters
    ----------
    fits : DataFrame
        A row a run and recorded step, as `shared.fits.fit_table` makes it.
    random_banks : DataFrame
        A row a network, as `formula.random_table` makes it.
    learning : DataFrame
        Loss and accuracy of every run at the recorded steps.
    failures : mapping of str to str, optional
        Why a network's claims cannot be tested, by network.
    """
    claims = []
    for model, title in MODELS.items():
        texts = network_texts(model, title)
        if reason := (failures or {}).get(model):
            claims += [Claim.judged((), holds, **text, note=reason) for holds, text in texts]
            continue
        rows = fits.query("model == @model")
        seeds = [rows.query("seed == @seed") for seed in rows.seed.unique()]
        ends = pd.concat([group.tail(1) for group in seeds])
        null = random_banks.query("model == @model").iloc[0]
        trained = learning.query("model == @model").groupby("seed").tail(1)
        measured: list[tuple[Sequence[float], str]] = [
            (ends.correlation.tolist(), fit_note(rows, ends, null, trained)),
            (
                [spearman(group.step, group.total_energy) for group in seeds],
                "Energy of the change since initialisation, at all recorded steps.",
            ),
            (
                [group.whitening_distance.iloc[-1] / group.whitening_distance.iloc[0] for group in seeds],
                f"The spread goes from {at_ends(seeds, 'whitening_distance')}; eq. 3 at the fitted t would take it "
                f"from {at_ends(seeds, 'predicted_whitening_distance')}.",
            ),
            (
                ends.least_residual.tolist(),
                f"R² of log energy at the t of the highest correlation: {number(ends.log_r2, undefined=UNDEFINED)} (1 "
                "would be exact).",
            ),
        ]
        claims += [
            Claim.judged(values, holds, **text, note=note)
            for (holds, text), (values, note) in zip(texts, measured, strict=True)
        ]
    return [*claims, random_claim(random_banks)]


def network_texts(model: str, title: str) -> list[tuple[Holds, dict[str, str]]]:
    """The four claims on a network: criterion and texts."""
    return [
        (
            lambda mean: mean >= 0.8,
            {
                "name": f"formula/{model}/correlation",
                "figure": "profile_against_formula",
                "statement": f"{title}'s energy profile follows eq. 3 at the best t",
                "source": "note sec. 3, Fig. 1" + ("; paper Table 3" if model == "vgg11" else ""),
                "published": {"vgg11": "≥ 0.8 (note); 0.94 ± 0.01 (Table 3)", "resnet20": "≥ 0.8"}[model],
                "quantity": "correlation at the last step",
                "criterion": "the mean over seeds is at least 0.8",
            },
        ),
        (
            lambda mean: mean >= 0.9,
            {
                "name": f"formula/{model}/energy-rises",
                "figure": "energy_over_steps",
                "statement": f"the energy of {title}'s first layer rises with the iterations",
                "source": "note sec. 3",
                "published": "rises",
                "quantity": "rank correlation of total energy with the step",
                "criterion": "the mean over seeds is at least 0.9",
            },
        ),
        (
            lambda mean: mean < 1,
            {
                "name": f"formula/{model}/approaches-whitening",
                "figure": "profile_against_formula",
                "statement": f"with more iterations {title}'s first layer comes closer to whitening",
                "source": "note sec. 3",
                "published": "approaches whitening",
                "quantity": "spread of log(e λ) at the last step relative to the first (0 is whitening)",
                "criterion": "the mean over seeds is below 1",
            },
        ),
        (
            lambda mean: mean > 0.05,
            {
                "name": f"formula/{model}/no-exact-match",
                "figure": "fit_over_steps",
                "statement": f"no single t matches {title}'s profile exactly; only the shape correlates",
                "source": "note sec. 3",
                "published": "no exact match",
                "quantity": "smallest relative residual |e - c·ê| / |e| over all t, last step",
                "criterion": "the mean over seeds is above 0.05",
            },
        ),
    ]


def random_claim(random_banks: pd.DataFrame) -> Claim:
    """The claim on a random initialisation: the reference for every fit."""
    return Claim.judged(
        random_banks["mean"].tolist(),
        lambda mean: -0.2 <= mean <= 0.4,
        name="formula/random/correlation",
        figure="profile_against_formula",
        statement="a random initialisation does not follow eq. 3",
        source="paper Table 3",
        published="0.1 ± 0.15",
        quantity=f"mean correlation of {RANDOM_BANKS} random banks of each network's shape",
        criterion="it lies within two published standard deviations: -0.2 to 0.4",
        note="We take the best of all t, from λ to 1/λ; the paper scans a part of that range.",
        replicates="network",
    )


def judge_pairs(
    pairs: Mapping[tuple[str, str], str], fits: pd.DataFrame, null: float, reasons: Mapping[tuple[str, str], str]
) -> list[Claim]:
    """Judge the claims on networks trained on two classes.

    Parameters
    ----------
    pairs : mapping of pair of str to str
        The published correlation of every pair of classes.
    fits : DataFrame
        A row a run: `pair` ("a/b"), `seed`, `correlation`, `correlation_early`, `train_accuracy`.
    null : float
        Mean correlation of random banks.
    reasons : mapping of pair of str to str
        Why a pair cannot be tested.
    """
    claims = []
    for pair, published in pairs.items():
        name = "/".join(pair)
        rows = fits[fits.pair == name] if len(fits) else fits
        values = [] if pair in reasons else rows.correlation.tolist()
        note = reasons.get(pair) or (
            f"λ alone correlates {number(rows.correlation_early)}, random banks {null:.2f} on average; training "
            f"accuracy {rows.train_accuracy.mean():.1%} of two classes after step {rows.step.iloc[0]}."
        )
        claims.append(
            Claim.judged(
                values,
                lambda mean: mean >= 0.8,
                name=f"formula/{'-'.join(pair)}/correlation",
                figure="pairs",
                statement=f"VGG11 trained on {pair[0]} against {pair[1]} alone follows eq. 3 at the best t",
                source="paper Table 3",
                published=published,
                quantity="correlation at the last step, on the patches of these classes",
                criterion="the mean over seeds is at least 0.8",
                note=note,
            )
        )
    return claims


def fit_note(rows: pd.DataFrame, ends: pd.DataFrame, null: pd.Series, trained: pd.DataFrame) -> str:
    """What a reader must know beside the correlation: its range and null, how sharp t is, how far the training got."""
    taus = ends.tau.where(ends.bound != "early", 0.0)
    low, high = ends.tau_low.max(), ends.tau_high.min()
    within = "within 0.01 of the best in every seed."
    flat = f"any from {low:.2g} to {high:.2g} correlates {within}" if low <= high else f"none correlates {within}"
    return (
        f"Over all recorded steps and seeds it runs from {rows.correlation.min():.3f} to {rows.correlation.max():.3f}. "
        f"Random banks of this shape reach {null['mean']:.2f} ± {null['std']:.2f}, 95th percentile "
        f"{null.percentile_95:.2f}, with the same freedom to choose t; and λ itself, the limit of small t, correlates "
        f"{number(ends.correlation_early)} with the profile: eq. 3 must be read against both. "
        f"The best τ is {number_range(taus, '.2g')}; {flat} "
        f"After step {trained.step.iloc[0]}, the last, the training loss is {trained.train_loss.mean():.3f} "
        f"and the test accuracy {trained.test_accuracy.mean():.1%}."
    )


def at_ends(seeds: list[pd.DataFrame], column: str) -> str:
    """Mean over seeds of a column at the first and the last recorded step, for a note."""
    first, last = (pd.Series([group[column].iloc[row] for group in seeds]) for row in (0, -1))
    return " to ".join(number(values, undefined=UNDEFINED) for values in (first, last))
