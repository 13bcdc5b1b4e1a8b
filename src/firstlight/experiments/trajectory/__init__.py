"""`trajectory`: does the first layer follow eq. 3 through time, with the learning rate and the steps of its training?

The experiment `formula` lets every profile choose its own t. Here nothing is chosen: the change w(t) - w(0) at every
recorded step is set beside eq. 3 at the same learning rate and the same number of steps. There the energy rises, and
the peak moves to higher components (Figure 4 of the paper). In a network the layers above scale the gradient, so that
the pace may be another; but one that obeyed eq. 3 in time as well as in shape would be fitted by a tau that grows in
proportion to lr * steps.
"""

import numpy as np
import pandas as pd

from firstlight.experiments.context import Context
from firstlight.experiments.experiment import Experiment
from firstlight.experiments.results import FigureEntry, Result
from firstlight.experiments.shared.fits import change_profiles, fit_table
from firstlight.experiments.shared.plans import MODELS, NO_COSTS, missing_networks, network_specs
from firstlight.experiments.shared.tables import stacked
from firstlight.experiments.trajectory import figures
from firstlight.experiments.trajectory.claims import judge
from firstlight.patches import PatchBasis
from firstlight.profile import correlation
from firstlight.theory import fit_formula, linear_cnn_profile
from firstlight.training import Run

# Of the fit at every step: what is needed here.
RUN_AND_STEP = ["model", "seed", "step"]
MEASURED = ["lr_times_steps", "tau", "bound", "correlation", "correlation_early", "total_energy", "peak_component"]
PREDICTED = [
    "predicted_energy",
    "predicted_peak_component",
    "predicted_tau",
    "predicted_bound",
    "same_step_correlation",
]


def run(context: Context) -> Result:
    """Set every recorded step of both networks beside eq. 3 at that step; judge the claims."""
    basis = context.basis()
    runs = context.runs(network_specs(context))
    steps = step_table(runs, basis)
    profiles = profile_table(runs, basis)
    return Result(
        experiment="trajectory",
        claims=tuple(judge(steps, missing_networks(context))),
        tables={"steps": steps, "profiles": profiles},
        figures=draw(basis, steps, profiles) if runs else {},
        runs=tuple(runs),
        units="τ and lr × steps: on patches normalised per channel as the networks' inputs are",
    )


def step_table(runs: list[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run and recorded step: the profile of the change, its best fit, and eq. 3 at the same lr and step.

    `predicted_energy` is in units of the weights by one factor a run, which fits log energy over its steps best.
    `predicted_tau` is fitted to eq. 3 itself: the fit is in continuous time, which small numbers of steps are not.
    """
    fits = fit_table(runs, basis)[[*RUN_AND_STEP, *MEASURED]]
    rows = []
    for run in runs:
        for energy, measured in zip(predictions(run, basis), change_profiles(run, basis), strict=True):
            step, profile = measured
            fit = fit_formula(energy, basis)
            rows.append(
                {
                    "model": run.spec.model,
                    "seed": run.spec.seed,
                    "step": step,
                    "predicted_energy": np.linalg.norm(energy),
                    "predicted_peak_component": energy.argmax() + 1,
                    "predicted_tau": fit.tau,
                    "predicted_bound": fit.bound,
                    "same_step_correlation": correlation(profile.energy, energy),
                }
            )
    table = fits.merge(pd.DataFrame(rows, columns=[*RUN_AND_STEP, *PREDICTED]), on=RUN_AND_STEP)
    ratio = np.log(table.total_energy / table.predicted_energy)
    scale = np.exp(ratio.groupby([table.model, table.seed]).transform("mean"))
    return table.assign(predicted_energy=scale * table.predicted_energy)


def profile_table(runs: list[Run], basis: PatchBasis) -> pd.DataFrame:
    """A row a run, recorded step and component: the energy of the change, and of eq. 3, each relative to its peak."""
    tables = [
        pd.DataFrame(
            {
                "model": run.spec.model,
                "seed": run.spec.seed,
                "step": step,
                "component": np.arange(1, basis.size + 1),
                "energy": profile.normalized,
                "predicted": energy / energy.max(),
            }
        )
        for run in runs
        for energy, (step, profile) in zip(predictions(run, basis), change_profiles(run, basis), strict=True)
    ]
    return stacked(tables, ["model", "seed", "step", "component", "energy", "predicted"])


def predictions(run: Run, basis: PatchBasis) -> np.ndarray:
    """Eq. 3 at the run's learning rate and recorded steps but the first, shape (T - 1, D); nothing is fitted."""
    return linear_cnn_profile(basis.variance, lr=run.spec.lr, steps=run.steps[1:])


def draw(basis: PatchBasis, steps: pd.DataFrame, profiles: pd.DataFrame) -> dict[str, FigureEntry]:
    """Energy, peak, fitted time and the whole profile over the steps, beside eq. 3."""
    names = {model: MODELS[model] for model in steps.model.unique()}
    return {
        "energy_and_peak": FigureEntry(
            figures.energy_and_peak(steps, names),
            "Energy and peak over the iterations, against eq. 3 at the same steps",
            "Root-mean-square norm of a filter's change, and the component with the most energy: mean and range over "
            "seeds. Eq. 3 has the training's own learning rate and steps; its energy is scaled by one factor a run.",
        ),
        "fitted_time": FigureEntry(
            figures.fitted_time(steps, names),
            "The fitted τ against lr × steps",
            "A line a seed; where eq. 3 fits best at one of its limits, no τ is drawn. Eq. 3 itself at the same steps "
            "is fitted in the same way: both are equal but for the first steps, as the fit is in continuous time.",
        ),
        "profiles": FigureEntry(
            figures.profiles(profiles, basis, names),
            "The profile over the iterations (Figure 4 of the paper)",
            "Energy of w(t) - w(0) relative to its peak at every recorded step, mean over seeds, and eq. 3 at the same "
            "steps; a mark where a row peaks.",
        ),
    }


EXPERIMENT = Experiment(
    name="trajectory",
    question="Do the energy, the peak and the fitted time follow eq. 3 step by step, at the training's own lr?",
    answers="note sec. 3; paper sec. 4 and Fig. 4",
    costs=NO_COSTS,
    plan=network_specs,
    run=run,
)
