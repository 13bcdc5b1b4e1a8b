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
# # Gallery
#
# Every figure with the three lines that make it. They begin with a VGG11 and a ResNet20, each recorded while it was
# trained on CIFAR-10, and with the principal components of that data set's patches; both come with firstlight.

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
import firstlight as fl

found = fl.recorded("trajectory").results[0]
vgg, resnet = (next(run for run in found.runs if run.spec.model == name) for name in ("vgg11", "resnet20"))
basis = fl.patch_statistics("cifar10").basis(fl.FilterBank(vgg.final))

# %% [markdown]
# ## What the images hold

# %% alt="The 27 principal components of the patches as small pictures"
components = fl.FilterBank(basis.images, source="components")
fig, axes = components.plot()
fig

# %% alt="Variance of the patches by component, on a log axis"
fig, ax = basis.plot()
ax.set_title("variance of the patches of CIFAR-10")
fig

# %% [markdown]
# ## What a first layer has learnt

# %% alt="The 64 filters of the trained VGG11"
bank = fl.FilterBank(vgg.final, source="VGG11")
fig, axes = bank.plot()
fig

# %% alt="The energy profile of what training added to the first layer of VGG11"
change = fl.energy_profile(vgg.final, basis, initial=vgg.initial)
fig, ax = change.plot()
fig

# %% alt="The same profile beside eq. 3 at the training time that fits it best"
fit = fl.fit_formula(change, basis)
fig, ax = fit.plot()
fig

# %% alt="What inspect finds in ResNet20, as one figure"
inspection = fl.inspect(resnet.final, initial=resnet.initial)
fig, ax = inspection.plot()
fig

# %% [markdown]
# ## How alike first layers are

# %% alt="Correlations of the profiles of VGG11 and ResNet20, trained and initial"
banks = [vgg.final, vgg.initial, resnet.final, resnet.initial]
comparison = fl.compare(banks, basis, labels=["VGG11", "VGG11, initial", "ResNet20", "ResNet20, initial"])
comparison.plot()[0]

# %% alt="Their profiles on one axis"
comparison = fl.compare([vgg.final, resnet.final], basis, initial=[vgg.initial, resnet.initial])
fig, ax = comparison.plot_profiles()
fig

# %% [markdown]
# ## Does it decorrelate?
#
# Here on photographs.

# %% alt="Auto-correlation of the responses of the trained VGG11 against distance"
photos = fl.load_images("photos")
fig, ax = fl.autocorrelation(vgg.final, photos).plot()
fig

# %% [markdown]
# ## Of a whole experiment
#
# Every experiment has its figures by name; [the pages of the claims](../reproducibility.md) show them all.

# %% alt="The component with the most energy over the steps, measured and by eq. 3"
entry = found.figures["peak"]
print(entry.title)
entry.figure
