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
# # A first insight
#
# What a network's first layer sees, what training adds to it, and what a formula without any network says that it
# adds. The images are crops of photographs that ship with scikit-image; nothing is downloaded. The training takes
# seconds on two cores.

# %% tags=["hide"]
# In a Python without firstlight this cell installs it. "firstlight" is right once it is published; until then, put the
# path of a checkout or of a wheel (`make dist`) in its place.
import importlib.util
import subprocess
import sys

FIRSTLIGHT = "firstlight"
if importlib.util.find_spec("firstlight") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"{FIRSTLIGHT}[photos]"], check=True)

# %matplotlib inline
# %config InlineBackend.figure_formats = ["svg"]

# %%
import matplotlib
import numpy as np
import torch

import firstlight as fl

photos = fl.load_images("photos")
print(photos)

# %% [markdown]
# ## The patches
#
# All windows of 3 x 3 pixels, 18 million, summed up exactly. Their principal components go from flat and grey to fine
# and coloured, and their variance falls by four orders of magnitude.

# %% alt="The 27 principal components of the patches as small pictures, from flat grey to fine stripes and colours"
basis = fl.PatchMoments(kernel_size=3, channels=3).update(photos.images).basis(photos.mean, photos.std)
fig, ax = fl.FilterBank(basis.images, source="components").plot()
fig

# %% alt="Variance of the patches by component, on a log axis, falling by four orders of magnitude"
fig, ax = basis.plot()
fig

# %% [markdown]
# ## A network, before and after a little training
#
# Forty steps of plain gradient descent, in a loop as you would write it.

# %%
torch.manual_seed(0)
network = fl.build_model("resnet20", classes=5)
initial = fl.load_filters(network)

mean, std = (torch.tensor(values)[:, None, None] for values in (photos.mean, photos.std))
pixels, labels = torch.tensor(photos.images), torch.tensor(photos.labels)
optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
losses = []
for batch in torch.randperm(len(pixels))[: 40 * 64].split(64):
    loss = torch.nn.functional.cross_entropy(network((pixels[batch] / 255 - mean) / std), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

trained = fl.load_filters(network)
print(f"loss {losses[0]:.2f} at first, {losses[-1]:.2f} at last; guessing has 1.61")
print(trained)

# %% [markdown]
# The loss falls. The filters look as random as before, and so does their profile: it is even, before and after.

# %% alt="The sixteen filters before training and after it: both look like noise, and alike"
fig, ax = fl.FilterBank(np.concatenate([initial.weight, trained.weight])).plot()
ax.set_title("16 filters before training, then the same after it", fontsize=9)
fig

# %% alt="The energy profiles of the untrained and the trained filters: even, and almost equal"
before, after = (fl.energy_profile(bank, basis) for bank in (initial, trained))
fig, ax = before.plot()
ax.plot(np.arange(1, 28), after.normalized, color="black", ls="--", label="after")
ax.set_title(f"before and after training: correlation {before.correlation(after):.4f}", fontsize=9)
fig

# %% [markdown]
# ## What training has added
#
# Subtract the start, and fit eq. 3: one free number, the training time tau. As the last line of a cell, a result shows
# itself.

# %%
change = fl.energy_profile(trained, basis, initial=initial)
fit = fl.fit_formula(change, basis)
fit

# %% [markdown]
# How much of this is eq. 3, and how much would anything give? Two nulls: 200 random banks, each with the tau that
# suits it best; and λ, which every early profile resembles.

# %%
rng = np.random.default_rng(0)
chance = [
    fl.fit_formula(fl.energy_profile(rng.normal(size=trained.weight.shape), basis), basis).correlation
    for _ in range(200)
]
print(f"eq. 3, tau = {fit.tau:.3f}:  r = {fit.correlation:.3f}")
print(f"lambda alone:       r = {change.correlation(np.sqrt(basis.variance)):.3f}")
print(f"random banks:       r = {np.mean(chance):.3f} on average, 95th percentile {np.percentile(chance, 95):.3f}")

# %% [markdown]
# ## Turn the knob
#
# Eq. 3 from early to late. The peak walks through the components and ends where the patches have no variance left:
# whitening.

# %% alt="Eq. 3 at five training times on a log axis: the peak moves from the first components to the last"
fig, ax = basis.plot()
ax.clear()
times = [0.01, 1, 10, 100, 1e5]
for tau, profile in zip(times, fl.linear_cnn_profile(basis.variance, times), strict=True):
    colour = matplotlib.colormaps["viridis_r"](0.15 + 0.85 * times.index(tau) / 4)
    ax.plot(np.arange(1, 28), profile / profile.max(), color=colour, label=f"τ = {tau:g}")
ax.set(yscale="log", xlabel="patch component", ylabel="predicted energy / peak")
ax.legend(frameon=False, fontsize=8)
fig

# %% [markdown]
# ## Does it decorrelate?
#
# Neighbouring pixels are alike, and so are the responses of random filters to neighbouring patches. The ideal
# whitening filters, $u_i / \lambda_i$, undo most of it. Trained filters, at this age, are still the random ones.

# %% alt="Auto-correlation against distance: pixels and trained filters stay high, the whitening bank falls"
curves = {
    "pixels": fl.autocorrelation(None, photos),
    "trained": fl.autocorrelation(trained, photos),
    "whitening": fl.autocorrelation(fl.whitening_bank(basis), photos),
}
fig, ax = curves["pixels"].plot()
ax.clear()
for (name, curve), line in zip(curves.items(), ("-", "--", ":"), strict=True):
    ax.plot(curve.distance, curve.value, ls=line, marker="o", label=name)
ax.set(xlabel="distance, pixels", ylabel="auto-correlation C(d) / C(0)")
ax.legend(frameon=False)
fig

# %% [markdown]
# Next: [the derivation, and what it assumes](../theory.md); [your own network](../inspect.md); [the recorded
# claims](recorded_claims.md).
