"""The claims of the experiment `labels`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Mapping

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.label_pairs import agreement_note, at_last_common_step, chance_note
from firstlight.experiments.shared.notes import training_note
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.tables import rows_where

TRUE_AGAINST_RANDOM = {"vgg11": "0.90 ± 0.02 (Table 2)", "resnet20": '"the same energy profile" (note)'}
RANDOM_AGAINST_INITIAL = {"vgg11": "0.03 ± 0.22 (Table 2)", "resnet20": "0.03 ± 0.22 for VGG11 (Table 2)"}


def judge(
    pairs: pd.DataFrame,
    networks: pd.DataFrame,
    random_banks: pd.DataFrame,
    missing: Mapping[tuple[str, str], str],
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    pairs, networks : DataFrame
        As `pair_table` and `network_table` of `shared.label_pairs` make them.
    random_banks : DataFrame
        A row a network, as `shared.label_pairs.random_agreement` makes it.
    missing : mapping of (model, labels) to str
        Why a kind of network is not there.
    """
    claims = []
    for model, title in MODELS.items():
        rows = rows_where(pairs, model=model)
        own = rows_where(networks, model=model)
        null = rows_where(random_banks, model=model).iloc[0]
        reasons = [missing[key] for key in ((model, "true"), (model, "random")) if key in missing]
        claims.append(
            Claim.judged(
                [] if reasons else at_last_common_step(rows).correlation.tolist(),
                lambda mean: mean >= 0.8,
                name=f"labels/{model}/true-against-random",
                figure="correlation_over_steps",
                statement=f"{title}'s energy profile becomes the same with random labels as with true ones",
                source="note sec. 2.2" + ("; paper Table 2, Fig. 3" if model == "vgg11" else ""),
                published=TRUE_AGAINST_RANDOM[model],
                quantity="correlation at the last step that both recorded, of different seeds",
                criterion="the mean over pairs is at least 0.8",
                replicates="pair",
                note=" ".join(reasons) or agreement_note(rows, own, null, ("true", "random")),
            )
        )
        last = rows_where(own, labels="random").groupby("seed").tail(1)
        reason = missing.get((model, "random"))
        claims.append(
            Claim.judged(
                [] if reason else last.correlation_initial.tolist(),
                lambda mean: mean <= 0.47,
                name=f"labels/{model}/random-against-init",
                figure="profiles",
                statement=f"what {title} learns from random labels has not the profile of its initialisation",
                source="paper Table 2",
                published=RANDOM_AGAINST_INITIAL[model],
                quantity="correlation of the profile of w(t) - w(0) with that of w(0), last step",
                criterion="the mean over seeds is at most 0.47, the published mean and two standard deviations",
                note=reason or initial_note(last, null),
            )
        )
    return claims


def initial_note(last: pd.DataFrame, random_banks: pd.Series) -> str:
    """How far the networks on random labels were trained, and what chance makes."""
    return f"After step {last.step.iloc[0]}, the last: {training_note(last)}. {chance_note(random_banks)}"
