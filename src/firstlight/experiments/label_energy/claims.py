"""The claims of `label-energy`. Their criteria were fixed before the first run and are not to be tuned."""

from collections.abc import Mapping, Sequence

import pandas as pd

from firstlight.experiments.claims import Claim
from firstlight.experiments.shared.label_pairs import agreement_note, at_last_common_step
from firstlight.experiments.shared.notes import number
from firstlight.experiments.shared.plans import MODELS
from firstlight.experiments.shared.tables import rows_where

# Networks that are not this many times better than guessing did not learn the labels.
LEARNT = 1.5


def judge(
    components: Sequence[int],
    classes: int,
    pairs: pd.DataFrame,
    networks: pd.DataFrame,
    random_banks: pd.DataFrame,
    energies: pd.DataFrame,
    missing: Mapping[tuple[str, str], str],
) -> list[Claim]:
    """Judge every claim, for the networks that `random_banks` has.

    Parameters
    ----------
    components : sequence of int
        The components, from 1, that labels were made of.
    classes : int
        Number of labels, equally frequent.
    pairs, networks : DataFrame
        As `pair_table` and `network_table` of `shared.label_pairs` make them; pairs are with those on random labels.
    random_banks : DataFrame
        A row a network, as `shared.label_pairs.random_agreement` makes it.
    energies : DataFrame
        As `label_energy.energy_table` makes it.
    missing : mapping of (model, labels) to str
        Why a kind of network is not there.
    """
    claims = []
    for _, null in random_banks.iterrows():
        model = str(null["model"])
        title = MODELS[model]
        own = rows_where(networks, model=model)
        usual = rows_where(pairs, model=model, labels="true")
        for component in components:
            kind = f"energy:{component}"
            reason = " ".join(missing[model, name] for name in (kind, "random") if (model, name) in missing)
            rows = rows_where(pairs, model=model, labels=kind)
            values: list[float] = []
            note = reason
            if not reason:
                values = at_last_common_step(rows).correlation.tolist()
                shares = rows_where(energies, model=model, labels=kind)
                note = f"{energy_note(shares, component)} {agreement_note(rows, own, null, (kind, 'random'))}"
                if unlearnt := unlearnt_reason(rows_where(own, labels=kind), classes):
                    note = f"{unlearnt} Their correlation would be {sum(values) / len(values):.3f}. {note}"
                    reason, values = unlearnt, []
            texts = {"source": "paper Fig. 8a, Fig. 17", "replicates": "pair"}
            claims.append(
                Claim.judged(
                    values,
                    lambda mean: mean <= 0.3,
                    name=f"label-energy/{model}/component-{component}/breaks-agreement",
                    figure="correlation_over_steps",
                    statement=f"with labels made from the patch energy in component {component}, {title}'s "
                    "profile no longer agrees with that of random labels",
                    published="about 0 (Fig. 8a)",
                    quantity="correlation at the last step that both recorded, of different seeds",
                    criterion="the mean over pairs is at most 0.3",
                    note=note,
                    **texts,
                )
            )
            reason = " ".join(part for part in (reason, missing.get((model, "true"), "")) if part)
            differences = [] if reason else less_than_true(rows, usual)
            claims.append(
                Claim.judged(
                    differences,
                    lambda mean: mean < 0,
                    name=f"label-energy/{model}/component-{component}/less-than-true",
                    figure="correlation_over_steps",
                    statement=f"with labels made from the patch energy in component {component}, {title}'s "
                    "profile agrees less with that of random labels than with true labels",
                    published="falls (Fig. 8a)",
                    quantity="correlation with random labels, less that of true with random labels at the same step",
                    criterion="the mean over pairs is below 0",
                    note=reason or true_note(rows, usual),
                    **texts,
                )
            )
    return claims


def less_than_true(pairs: pd.DataFrame, usual: pd.DataFrame) -> list[float]:
    """Every pair's last correlation less the mean that networks on true labels have at that step."""
    rows = at_last_common_step(pairs)
    return (rows.correlation - at_same_step(rows, usual).correlation.mean()).tolist()


def at_same_step(rows: pd.DataFrame, usual: pd.DataFrame) -> pd.DataFrame:
    """The rows of another table of pairs at the one step of these."""
    step = rows.step.iloc[0]
    return rows_where(usual, step=step, other_step=step)


def unlearnt_reason(networks: pd.DataFrame, classes: int) -> str:
    """Why claims on networks that have not learnt their labels mean nothing; empty where they have."""
    last = networks.groupby("seed").tail(1)
    accuracy = last.train_accuracy.mean(skipna=False)
    if accuracy >= LEARNT / classes:
        return ""
    reached = "is not recorded" if pd.isna(accuracy) else f"is {accuracy:.1%}"
    return (
        f"The networks have not learnt these labels: their training accuracy at step {last.step.iloc[0]} {reached}; "
        f"expected at least {LEARNT / classes:.0%}, where guessing reaches {1 / classes:.0%}."
    )


def energy_note(energies: pd.DataFrame, component: int) -> str:
    """How much of the energy is in the component that made the labels, for a note."""
    rows = rows_where(energies, component=component)
    relative = rows.relative.mean(skipna=False)
    beside = "" if pd.isna(relative) else f", {relative:.2g} times its share with true labels"
    return f"Component {component} holds {rows.share.mean():.1%} of the energy e²{beside}."


def true_note(pairs: pd.DataFrame, usual: pd.DataFrame) -> str:
    """Both correlations of the difference, for a note."""
    rows = at_last_common_step(pairs)
    return (
        f"At step {rows.step.iloc[0]} the correlation with random labels is {number(rows.correlation)}; that of true "
        f"with random labels is {number(at_same_step(rows, usual).correlation)}."
    )
