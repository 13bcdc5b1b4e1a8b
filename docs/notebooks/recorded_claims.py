# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The recorded claims
#
# VGG11, ResNet20 and others were trained on CIFAR-10, and their first layers recorded on the way. The records come
# with firstlight, so that everything below is measured again here, without training, without images and without torch.

# %% tags=["hide"]
# In a Python without firstlight this cell installs it. "firstlight" is right once it is published; until then, put the
# path of a checkout or of a wheel (`make dist`) in its place.
import importlib.util
import subprocess
import sys

FIRSTLIGHT = "firstlight"
if importlib.util.find_spec("firstlight") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", FIRSTLIGHT], check=True)

# %matplotlib inline
# %config InlineBackend.figure_formats = ["svg"]

# %%
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import firstlight as fl

reproduction = fl.recorded(["formula", "trajectory"])
print(reproduction.summary)
rows = [(claim.verdict, claim.title, claim.criterion.published, claim.measured) for claim in reproduction.claims]
pd.DataFrame(rows, columns=["verdict", "claim", "published", "measured"]).style.hide()

# %% [markdown]
# A claim carries its criterion, which was fixed before these runs, and what it must be read against: the same after one
# step, when nothing is learnt yet, with λ alone, and how far its networks had learnt.

# %%
claim = reproduction.claims[0]
print(f"{claim.title}: {claim.verdict}\n  {claim.criterion.quantity}: {claim.measured}; {claim.criterion.criterion}")
print(f"  after one step {claim.measured_after_one_step}; λ alone {np.mean(claim.lambda_alone):.3f}\n  {claim.note}")

# %% [markdown]
# ## The trainings behind them
#
# Every result names its runs. A run holds the first layer at log-spaced steps. Here are those of two networks on true
# labels.

# %%
runs = [run for run in reproduction.results[1].runs if run.spec.model in ("vgg11", "resnet20")]
columns = ["network", "seed", "steps", "recorded", "test accuracy"]
accuracy = [run.metrics["test_accuracy"].iloc[-1] for run in runs]
facts = [(run.spec.model, run.spec.seed, run.spec.steps, len(run.steps)) for run in runs]
pd.DataFrame([(*fact, round(last, 3)) for fact, last in zip(facts, accuracy, strict=True)], columns=columns)

# %% [markdown]
# ## Same profile, other seed
#
# The change in the first layer of each, in the patch components of CIFAR-10, whose statistics come with the package:

# %% alt="Correlations of the profiles of six networks: about 0.7 between, 0.9 and more within an architecture"
basis = fl.patch_statistics("cifar10").basis(fl.FilterBank(runs[0].final))
names = [f"{run.spec.model}, seed {run.spec.seed}" for run in runs]
comparison = fl.compare([run.final for run in runs], basis, initial=[run.initial for run in runs], labels=names)
fig, ax = comparison.plot()
fig

# %% alt="The profiles of six networks on one axis"
fig, ax = comparison.plot_profiles()
fig

# %% [markdown]
# ## Over time, against eq. 3 at the same times
#
# Theory: the peak moves to higher components as lr × steps grows. Measured, for one VGG11: profiles relative to
# their peaks, a row a recorded step, and beside it eq. 3 with the training's own lr and steps. No tau is fitted here.

# %% alt="Two maps, measured and eq. 3: the measured peak leaves the first component late, eq. 3's early and goes on"
run = runs[0]
measured = np.array([fl.energy_profile(filters, basis, run.initial).normalized for filters in run.filters[1:]])
predicted = fl.linear_cnn_profile(basis.variance, lr=run.spec.lr, steps=run.steps[1:])

fig = Figure(figsize=(8, 3.4), layout="constrained")
for ax, values, title in zip(fig.subplots(1, 2), (measured, predicted), ("measured", "eq. 3, not fitted"), strict=True):
    ax.pcolormesh(np.arange(1, 28), np.arange(len(values)), values / values.max(axis=1, keepdims=True), rasterized=True)
    ax.set_yticks(np.arange(0, len(values), 4), run.steps[1::4])
    ax.set(title=title, xlabel="patch component", ylabel="step")
fig

# %% [markdown]
# The peak does move, but at the training's own time eq. 3 is far ahead of the network. With a free tau its correlation
# is high at every recorded step; but the fitted tau grows more slowly than lr × steps.

# %% alt="Fitted tau against lr times steps on log axes: it rises much less steeply than the diagonal"
changes = [fl.energy_profile(filters, basis, run.initial) for filters in run.filters[1:]]
fits = [fl.fit_formula(change, basis) for change in changes]
fig = Figure(figsize=(4.2, 3.2), layout="constrained")
ax = fig.subplots()
time = run.spec.lr * run.steps[1:]
ax.loglog(time, [fit.tau for fit in fits], marker="o", label="fitted")
ax.loglog(time, time, color="0.5", ls=":", label="lr × steps")
ax.set(xlabel="lr × steps", ylabel="tau of eq. 3")
ax.legend(frameon=False)
fig

# %%
slope = np.polyfit(np.log(time), np.log([fit.tau for fit in fits]), 1)[0]
correlations = [fit.correlation for fit in fits]
print(f"slope {slope:.2f}; correlation {min(correlations):.2f} to {max(correlations):.2f}")

# %% [markdown]
# All experiments, with their figures: [What reproduces](../reproducibility.md).
