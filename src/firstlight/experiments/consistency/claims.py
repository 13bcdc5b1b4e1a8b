"""The claims of the experiment `consistency`. Their criteria were fixed before any run and are not to be tuned."""

from collections.abc import Mapping

import pandas as pd

from firstlight.experiments.claims import Claim, magnitude
from firstlight.experiments.consistency.comparisons import ACROSS_WIDTHS, ARCHITECTURES, DATA, SEEDS, Comparison
from firstlight.experiments.shared.notes import number, number_range, percent
from firstlight.experiments.shared.plans import MODELS


def judge(
    pairs: pd.DataFrame,
    over_steps: pd.DataFrame,
    runs: pd.DataFrame,
    banks: pd.DataFrame,
    reasons: Mapping[str, str],
    precision: str,
    components: int,
) -> list[Claim]:
    """Judge every claim.

    Parameters
    ----------
    pairs, over_steps, runs, banks : DataFrame
        As `pair_table`, `step_table`, `run_table` and `bank_table` of `consistency` make them.
    reasons : mapping of str to str
        Why a network's claims cannot be tested, by network.
    precision : {"float32", "bfloat16"}
        The one that the base runs are not trained in.
    components : int
        D, the number of components of a patch.
    """
    claims = []
    for comparison in (*SEEDS, ACROSS_WIDTHS, *ARCHITECTURES, *DATA):
        rows = rows_between(pairs, comparison.pairs)
        missing = untested_reason(comparison.networks, reasons)
        note = missing or comparison_note(comparison, rows, runs, banks)
        if comparison in DATA and not missing:
            note += data_note(comparison, rows, pairs)
        claims.append(comparison_claim(comparison, [] if missing else rows.correlation.tolist(), note))
    for model in MODELS:
        own = runs.query("network == @model")
        claims += [
            initial_claim(model, own, banks, untested_reason([model], reasons)),
            peak_claim(model, own, components, untested_reason([model], reasons)),
            precision_claim(
                model, precision, pairs, over_steps, untested_reason([model, f"{model}-{precision}"], reasons)
            ),
        ]
    return claims


def untested_reason(networks: list[str], reasons: Mapping[str, str]) -> str:
    """Why a claim on these networks cannot be tested; empty where it can."""
    return " ".join(dict.fromkeys(reasons[name] for name in networks if name in reasons))


def rows_between(pairs: pd.DataFrame, networks: tuple[tuple[str, str], ...]) -> pd.DataFrame:
    """The rows that compare these pairs of networks, in whichever order."""
    wanted = {frozenset(pair) for pair in networks}
    return pairs.loc[[frozenset(pair) in wanted for pair in zip(pairs.network_a, pairs.network_b, strict=True)]]


def comparison_claim(comparison: Comparison, values: list[float], note: str) -> Claim:
    """The claim of a comparison."""
    return Claim.judged(
        values,
        lambda mean: mean >= comparison.least,
        name=f"consistency/{comparison.name}",
        figure="correlations",
        statement=comparison.statement,
        source=comparison.source,
        published=comparison.published,
        quantity="correlation of profiles at the last step that both recorded",
        criterion=f"the mean over pairs is at least {comparison.least}",
        replicates="pair",
        note=note,
    )


def comparison_note(comparison: Comparison, rows: pd.DataFrame, runs: pd.DataFrame, banks: pd.DataFrame) -> str:
    """What a correlation of networks must be read against: λ, chance, how far they were trained, their ends."""
    columns = ["network", "lambda", "accuracy"]
    sides = [
        rows[[f"{name}_{side}" for name in columns]].set_axis(["name", "alone", "accuracy"], axis=1) for side in "ab"
    ]
    about = runs.drop_duplicates("network").set_index("network")
    groups = pd.concat(sides).groupby("name", sort=False)
    alone = ", ".join(f"{about.title[name]} {number(group.alone)}" for name, group in groups)
    reached = ", ".join(
        f"{about.title[name]} {percent(group.accuracy)} (chance {about.chance[name]:.1%})" for name, group in groups
    )
    sizes = {tuple(sorted((about.filters[a], about.filters[b]))) for a, b in comparison.pairs}
    return (
        f"At step {number_range(rows.step, ',')}{end_note(rows, runs)}. Correlation with λ alone: {alone}. Profiles "
        f"near λ, as early ones are, are near each other; what λ leaves unexplained correlates "
        f"{number(rows.beyond_lambda)}. {by_chance(banks, sizes)} Training accuracy at that step: "
        f"{reached}.{same_seed(rows)}"
    )


def by_chance(banks: pd.DataFrame, sizes: set[tuple[int, ...]]) -> str:
    """What profiles of random banks of these numbers of filters correlate, for a note."""
    null = banks.loc[[pair in sizes for pair in zip(banks.filters_a, banks.filters_b, strict=True)]]
    mean = round(null["mean"].mean(), 2) + 0.0  # no -0.00
    return (
        f"Random banks of such sizes correlate {mean:.2f} on average, 95th percentile {null.percentile_95.max():.2f}."
    )


def end_note(rows: pd.DataFrame, runs: pd.DataFrame) -> str:
    """The correlation where networks stopped, if they did not stop at the step of comparison."""
    last = runs.drop_duplicates("network").set_index("network").steps
    if all(last[name] == step for side in "ab" for name, step in zip(rows[f"network_{side}"], rows.step, strict=True)):
        return ", the last"
    return f", the last that both recorded (at the last step of each: {number(rows.correlation_at_ends)})"


def same_seed(rows: pd.DataFrame) -> str:
    """Whether it matters that runs of one seed share the order of their images, and some their initial filters."""
    same = rows.seed_a == rows.seed_b
    if not same.any() or same.all():
        return ""
    one, different = number(rows.loc[same].correlation), number(rows.loc[~same].correlation)
    return f" Pairs of one seed correlate {one}, of different seeds {different}."


def data_note(comparison: Comparison, rows: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """How data sets are compared, how alike their patches are, and ResNet20."""
    name = comparison.networks[1].replace("vgg11", "resnet20")
    others = rows_between(pairs, (("resnet20", name),))
    resnet = f"{number(others.correlation)} at step {number_range(others.step, ',')}" if len(others) else "no runs"
    return (
        " Each profile is in the components of its own data set's patches; they are compared component by component, "
        f"as in the paper. λ of the two correlates {number(rows.between_lambdas)}. ResNet20: {resnet}."
    )


def initial_claim(model: str, runs: pd.DataFrame, banks: pd.DataFrame, missing: str) -> Claim:
    """The claim that training leads away from the initialisation."""
    note = missing
    if not missing:
        filters, step = runs.filters.iloc[0], runs.steps.iloc[0]
        note = (
            f"Profile of w(t) - w(0) at step {step}, the last. The whole weights w(t) correlate "
            f"{number(runs.whole_against_initial)} with w(0), of whose norm the change is "
            f"{percent(runs.total_energy / runs.initial_energy)}. {by_chance(banks, {(filters, filters)})}"
        )
    return Claim.judged(
        [] if missing else runs.against_initial.tolist(),
        lambda mean: mean <= 0.23,
        name=f"consistency/{model}/against-init",
        figure="correlations",
        statement=f"a trained profile of {MODELS[model]} is unlike the initialisation's",
        source="note sec. 2.1" + ("; paper Table 1" if model == "vgg11" else ""),
        published="-0.13 ± 0.18 (Table 1, CIFAR-10)" if model == "vgg11" else "far from the initialisation",
        quantity="correlation of the profile of w(t) - w(0) with that of w(0), last step",
        criterion="the mean over seeds is at most 0.23, VGG11's published mean and two standard deviations",
        note=note,
    )


def peak_claim(model: str, runs: pd.DataFrame, components: int, missing: str) -> Claim:
    """The claim that a trained first layer is most sensitive to intermediate components."""
    high = components - 0.5
    peaks = ", ".join("none" if pd.isna(peak) else f"{peak:.0f}" for peak in runs.peak_component)
    return Claim.judged(
        [] if missing else runs.peak_component.tolist(),
        lambda mean: 1.5 <= mean <= high,
        name=f"consistency/{model}/peak",
        figure="profiles_architectures",
        statement=f"the sensitivity of {MODELS[model]}'s first layer peaks at intermediate components",
        source="note sec. 2.1; paper Fig. 1",
        published="intermediate frequencies",
        quantity=f"component, 1 to {components}, with the largest energy of w(t) - w(0), last step",
        criterion=f"the mean over seeds lies between 1.5 and {high}",
        note=missing
        or (
            f"By seed: {peaks}. Components go by decreasing variance; λ itself peaks at component 1, and correlates "
            f"{number(runs.against_lambda)} with the profile. Training accuracy {percent(runs.train_accuracy)}."
        ),
    )


def precision_claim(model: str, precision: str, pairs: pd.DataFrame, over_steps: pd.DataFrame, missing: str) -> Claim:
    """Our claim that the precision of a training matters less than its seed."""
    other = f"{model}-{precision}"
    rows = rows_between(pairs, ((model, other),)).query("seed_a == seed_b")
    step = rows.step.max()
    seeds = over_steps.query("network_a == @model and step == @step").correlation
    base = "float32" if precision == "bfloat16" else "bfloat16"
    return Claim.judged(
        [] if missing else (rows.correlation - seeds.mean()).tolist(),
        lambda mean: mean >= 0,
        name=f"consistency/{model}/precision",
        figure="correlations",
        statement=f"{MODELS[model]} trained in {precision} and in {base} learns the same profile, within the spread "
        "between seeds",
        source="firstlight",
        published="-",
        quantity="correlation between the precisions for one seed, minus the mean correlation between seeds",
        criterion="the mean over seeds is at least 0",
        note=missing
        or (
            f"At step {step}, the last that both recorded: 1 - r is {number(1 - rows.correlation, magnitude)} between "
            f"the precisions and {number(1 - seeds, magnitude)} between seeds. Weights and their updates are float32 "
            "in both."
        ),
    )
