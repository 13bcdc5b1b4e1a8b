"""`linear`: is eq. 3 what gradient descent does to the linear CNN that it was derived for?

No network needs to be trained for it: with A = E[pbar pbar^T] and b = E[(y - ybar) pbar], moments of the images' mean
patches, gradient descent on a linear CNN has a closed form (`firstlight.theory.linear_cnn`), which `descent`
checks against autograd. Eq. 3 follows from it if two assumptions hold. Patches of an image are uncorrelated, so that
A = diag(lambda^2) / J in the patches' components, with J patches an image; and labels are uncorrelated with the
patches, so that |b_i| is proportional to lambda_i. Each is measured, by itself and in what it does to eq. 3.

What eta means. K filters share one gradient and their responses are summed, so the sum S of the filters obeys
S <- S - lr K (A S - b). With A as assumed, its component i learns at the rate lr K lambda_i^2 / J, and this is what
eq. 3, which we keep as published, calls eta lambda_i^2. We compare at

- the same eta, lr K / J: exact where the assumptions hold, and what the claims are judged on;
- the same speed, eta = lr K max(a) / lambda_1^2, with a the eigenvalues of A: the fastest component of eq. 3 is as
  fast as the network's. On real images lr K max(a) is hundreds of times lr K lambda_1^2 / J, and it decides whether the
  network oscillates or diverges;
- the best of all t, as networks are fitted for which no eta is known (experiment `formula`): an upper bound.

For m classes there are m such networks, each one class against the rest. Their filters together are the bank whose
profile is compared (eq. 1), which averages b_i^2 over classes; single classes are in the table `classes`. Random
labels have |b_i| proportional to lambda_i only on average: `concentration` has what outputs and images do to that. The
claims are judged on 10 classes, as many as CIFAR-10 has, merged from 100, whose scatter is smaller.

Expected, as measured before: A_ii J / lambda_i^2 from 0.07 to 500, correlations of mean patches up to 0.998.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.linear import dynamics, figures
from firstlight.experiments.linear.claims import FEW, judge
from firstlight.experiments.linear.concentration import ideal_sets, output_table, spread_table
from firstlight.experiments.linear.descent import (
    STEP_SIZES,
    Descent,
    descent_table,
    measured_descent,
    progress,
    regime_table,
)
from firstlight.experiments.linear.dynamics import (
    eta_of,
    exact_changes,
    ideal_moments,
    merged_classes,
    readout_trained,
    real_moments,
    root_mean_square,
)
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.tables import rows_where
from firstlight.patches import PatchBasis
from firstlight.profile import correlation
from firstlight.theory import MeanPatchMoments, fit_formula, linear_cnn_profile

TRUE, RANDOM, IDEAL, BOTH = "true labels", "random labels", "ideal data", "true labels, readout trained"
# Profiles (T, D) at all TIMES, by kind and seed.
Energies = dict[str, dict[int, np.ndarray]]


def agreement_rows(energy: np.ndarray, basis: PatchBasis, etas: Mapping[str, float]) -> list[dict[str, float]]:
    """A row a time: correlation of profiles (T, D) with eq. 3 at each eta, by column, and at the best t."""
    predicted = {name: linear_cnn_profile(basis.variance, lr=eta, steps=dynamics.TIMES) for name, eta in etas.items()}
    rows = []
    for index, (time, profile) in enumerate(zip(dynamics.TIMES, energy, strict=True)):
        row = {name: correlation(profile, formula[index]) for name, formula in predicted.items()}
        fit = fit_formula(profile, basis)
        rows.append({"t": time, **row, "best_t": fit.correlation, "best_tau": fit.tau})
    return rows


def agreement_table(
    sets: Mapping[str, Mapping[int, MeanPatchMoments]], energies: Energies, basis: PatchBasis
) -> pd.DataFrame:
    """A row a kind, seed and time: how exact profiles correlate with eq. 3. `sets` are those whose eta is known."""
    rows = []
    for kind, by_seed in energies.items():
        for seed, energy in by_seed.items():
            etas = {}
            if kind in sets:
                etas = {"same_eta": eta_of(sets[kind][seed]), "same_speed": dynamics.SPEED / basis.variance[0]}
            rows += [{"kind": kind, "seed": seed, **row} for row in agreement_rows(energy, basis, etas)]
    columns = ["kind", "seed", "t", "same_eta", "same_speed", "best_t", "best_tau"]
    return pd.DataFrame(rows).reindex(columns=columns)


def component_table(moments: MeanPatchMoments, basis: PatchBasis) -> pd.DataFrame:
    """A row a component with variance: the entries of A and b beside what is assumed of them."""
    second = np.diag(basis.components @ moments.second @ basis.components.T)
    labels = root_mean_square((moments.cross @ basis.components.T)[None])[0]
    table = pd.DataFrame(
        {
            "component": np.arange(1, basis.size + 1),
            "variance": basis.variance,
            "mean_patch_variance": second,
            "labels": labels,
        }
    )[basis.variance > 0]
    relative = np.log(table.labels / np.sqrt(table.variance))
    return table.assign(
        ratio=table.mean_patch_variance * moments.patches / table.variance,
        labels_ratio=np.exp(relative - relative.mean()),
    )


def class_table(context: Context, moments: MeanPatchMoments, changes: np.ndarray, basis: PatchBasis) -> pd.DataFrame:
    """A row a class that has images: |b_i| against lambda_i, and the class's own network against eq. 3, mean over t."""
    kept = basis.variance > 0
    deviation = np.sqrt(basis.variance)
    predicted = linear_cnn_profile(basis.variance, lr=eta_of(moments), steps=dynamics.TIMES)
    rows = []
    for index, name in enumerate(context.facts()[0].classes):
        labels = np.abs(basis.components @ moments.cross[index])
        if labels.any():
            own = [correlation(*pair) for pair in zip(changes[:, index], predicted, strict=True)]
            rows.append(
                {
                    "class": name,
                    "correlation": correlation(labels, deviation),
                    "log_correlation": correlation(np.log(labels[kept]), np.log(deviation[kept])),
                    "same_eta": np.mean(own),
                }
            )
    return pd.DataFrame(rows)


def largest_correlation(moments: MeanPatchMoments, basis: PatchBasis) -> float:
    """The largest magnitude of a correlation of two different components of mean patches, about 0 as A is."""
    kept = basis.components[basis.variance > 0]
    second = kept @ moments.second @ kept.T
    deviation = np.sqrt(np.diag(second))
    scaled = second / np.outer(deviation, deviation)
    return float(np.abs(scaled - np.diag(np.diag(scaled))).max())


def run(context: Context) -> Result:
    """Measure the moments, follow the exact dynamics, and compare them with eq. 3."""
    basis = context.basis()
    true, random = real_moments(context)
    ideal = {seed: ideal_moments(basis, true.images, true.patches, seed) for seed in dynamics.SEEDS}
    sets = {TRUE: {0: true}, RANDOM: random, IDEAL: ideal}
    for kind in (RANDOM, IDEAL):
        sets[kind + FEW] = {seed: merged_classes(moments) for seed, moments in sets[kind].items()}
    changes = exact_changes(true, basis)
    energies: Energies = {
        kind: {seed: root_mean_square(exact_changes(moments, basis)) for seed, moments in by_seed.items()}
        for kind, by_seed in sets.items()
    }
    energies[BOTH] = {seed: readout_trained(context, true, basis, seed) for seed in dynamics.SEEDS}
    descent = measured_descent(context)
    tables = {
        "agreement": agreement_table(sets, energies, basis),
        "components": component_table(true, basis),
        "classes": class_table(context, true, changes, basis),
        "descent": descent_table(descent),
        "regimes": regime_table(descent),
    }
    labels = [(IDEAL, *drawn) for drawn in ideal_sets(basis, true.patches)]
    labels += [(RANDOM, *drawn) for drawn in random.items()]
    concentration = {
        "outputs": pd.concat([output_table(*drawn, basis) for drawn in labels], ignore_index=True),
        "spreads": pd.concat([spread_table(*drawn, basis) for drawn in labels], ignore_index=True),
    }
    return Result(
        experiment="linear",
        claims=tuple(
            judge(
                tables["descent"],
                tables["regimes"],
                tables["agreement"],
                tables["components"],
                largest_correlation(true, basis),
            )
        ),
        tables={**tables, **concentration},
        figures={**draw(energies, tables, true, descent, basis), "outputs": draw_outputs(concentration)},
        units="t counts steps of gradient descent at lr K max(a) = 0.5; eq. 3's η is lr K / J, on normalised pixels",
    )


def draw(
    energies: Energies,
    tables: Mapping[str, pd.DataFrame],
    moments: MeanPatchMoments,
    descent: Descent,
    basis: PatchBasis,
) -> dict[str, FigureEntry]:
    """The figures."""
    shown = [0, len(dynamics.TIMES) // 2, len(dynamics.TIMES) - 1]
    times = [dynamics.TIMES[index] for index in shown]
    selected = {kind: np.array(list(energies[kind].values()))[:, shown] for kind in (TRUE, RANDOM)}
    formula = linear_cnn_profile(basis.variance, lr=eta_of(moments), steps=times)
    return {
        "profiles": FigureEntry(
            figures.profiles(selected, formula, times, basis),
            "Eq. 3 against the exact linear CNN",
            "Exact energy profile of the change in a linear CNN on all training images, relative to its peak, at three "
            "times; with random labels mean and range over seeds. Eq. 3 at the same η and t.",
        ),
        "agreement": FigureEntry(
            figures.agreement(tables["agreement"], (TRUE, RANDOM, IDEAL, BOTH)),
            "Agreement of eq. 3 with the exact linear CNN",
            "Correlation of exact profile and eq. 3, mean and range over seeds. Ideal data: independent Gaussian "
            "patches with the real variances. Random labels are of 100 classes. The readout is frozen unless it is "
            "said to be trained, for which no η is known. Dotted: 0.8.",
        ),
        "assumptions": FigureEntry(
            figures.assumptions(tables["components"], basis),
            "What eq. 3 assumes, measured",
            "Variance of an image's mean patch, times J patches an image, over that of a patch: 1 if patches were "
            "uncorrelated. Covariance of labels and mean patch, root mean square over classes, over λ: constant if "
            "labels were uncorrelated with the patches.",
        ),
        "regimes": FigureEntry(
            figures.regimes(progress(descent), STEP_SIZES),
            "The first steps at different step sizes",
            f"A linear CNN trained by autograd on {descent.moments.images} images, in its fastest "
            "component, and theory.",
        ),
    }


def draw_outputs(tables: Mapping[str, pd.DataFrame]) -> FigureEntry:
    """The figure of what `concentration` measured, on ideal data."""
    outputs, spreads = (rows_where(table, kind=IDEAL) for table in tables.values())
    return FigureEntry(
        figures.outputs(outputs, spreads),
        "Eq. 3 on ideal data, by the number of outputs and of images",
        "Independent Gaussian patches, random labels. Correlation of exact profile and eq. 3 at the same η and t with "
        f"{outputs.images.max():,} images, mean and range over seeds; crosses: with {outputs.images.min():,}; dotted: "
        "0.8. And how much |u_i · b| / λ_i, constant in eq. 3, scatters over components and networks.",
    )


EXPERIMENT = Experiment(
    name="linear",
    question="Is eq. 3 what gradient descent does to the linear CNN that it was derived for?",
    answers="note sec. 2.3; paper sec. 4, Theorem 4.2 and Fig. 4",
    run=run,
)
