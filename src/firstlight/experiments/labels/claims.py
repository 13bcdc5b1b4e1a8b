"""The claims of the experiment `labels`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.formula.claims import MODELS

TRUE_AGAINST_RANDOM = {"vgg11": "0.90 ± 0.02 (Table 2)", "resnet20": '"the same energy profile" (seed)'}
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
        As `labels.pair_table` and `labels.network_table` make them.
    random_banks : DataFrame
        A row a network, as `labels.random_agreement` makes it.
    missing : mapping of (model, labels) to str
        Why a kind of network is not there.
    """
    claims = []
    for model, title in MODELS.items():
        rows = where(pairs, model=model)
        own = where(networks, model=model)
        null = where(random_banks, model=model).iloc[0]
        reasons = [missing[key] for key in ((model, "true"), (model, "random")) if key in missing]
        claims.append(
            Claim.judged(
                [] if reasons else at_last_common_step(rows).correlation.tolist(),
                lambda mean: mean >= 0.8,
                name=f"labels/{model}/true-against-random",
                figure="correlation_over_steps",
                statement=f"{title}'s energy profile becomes the same with random labels as with true ones",
                source="seed sec. 2.2" + ("; paper Table 2, Fig. 3" if model == "vgg11" else ""),
                published=TRUE_AGAINST_RANDOM[model],
                quantity="correlation at the last step that both recorded, of different seeds",
                criterion="the mean over pairs is at least 0.8",
                replicates="pair",
                note=" ".join(reasons) or agreement_note(rows, own, null, ("true", "random")),
            )
        )
        last = where(own, labels="random").groupby("seed").tail(1)
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


def where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows of a table that have these values."""
    for column, value in values.items():
        table = table.loc[table[column] == value]
    return table


def at_last_common_step(pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of pairs at the last step that all of both groups recorded."""
    equal = pairs.query("step == other_step")
    return where(equal, step=equal.step.max())


def agreement_note(pairs: pd.DataFrame, networks: pd.DataFrame, random_banks: pd.Series, kinds: tuple[str, str]) -> str:
    """What a correlation of two kinds of network must be read against: training so far, λ, chance, their ends."""
    rows = at_last_common_step(pairs)
    step = rows.step.iloc[0]
    groups = [where(networks, labels=kind, step=step) for kind in kinds]
    ends = pairs.groupby(["seed", "other_seed"]).tail(1)
    reached = " and ".join(f"{training(group)} with {words(kind)}" for kind, group in zip(kinds, groups, strict=True))
    alone = " and ".join(
        f"{average(group.correlation_lambda)} with that of {words(kind)}"
        for kind, group in zip(kinds, groups, strict=True)
    )
    last = (
        f" At the last step of each, {ends.step.iloc[0]} and {ends.other_step.iloc[0]}, the correlation is "
        f"{average(ends.correlation)}."
        if (ends.step != ends.other_step).any()
        else ""
    )
    return (
        f"At step {step}: {reached}. λ alone correlates {alone}: early in training every profile is near λ, and so "
        f"near any other; of what λ leaves unexplained the correlation is {average(rows.correlation_beyond_lambda)}. "
        f"{chance(random_banks)}{last}"
    )


def initial_note(last: pd.DataFrame, random_banks: pd.Series) -> str:
    """How far the networks on random labels were trained, and what chance makes."""
    return f"After step {last.step.iloc[0]}, the last: {training(last)}. {chance(random_banks)}"


def chance(random_banks: pd.Series) -> str:
    """What two random banks of the network's shape reach, for a note."""
    return (
        f"Two random banks of this shape correlate {random_banks['mean']:.2f} on average, 95th percentile "
        f"{random_banks.percentile_95:.2f}."
    )


def training(rows: pd.DataFrame) -> str:
    """Mean loss and accuracy beside those of guessing, for a note."""
    accuracy = rows.train_accuracy.mean(skipna=False)
    percent = "not recorded" if pd.isna(accuracy) else f"{accuracy:.1%}"
    classes = rows.classes.iloc[0]
    guessing = f"guessing: {np.log(classes):.3f} and {1 / classes:.1%}"
    return f"training loss {average(rows.train_loss)} and accuracy {percent} ({guessing})"


def words(kind: str) -> str:
    """A kind of labels as a note or a legend calls it: "true" is "true labels"."""
    name, _, component = kind.partition(":")
    return f"labels of component {component}" if component else f"{name} labels"


def average(values: pd.Series) -> str:
    """The mean of some numbers, for a note."""
    mean = values.mean(skipna=False)
    return "undefined" if pd.isna(mean) else f"{mean:.3f}"
