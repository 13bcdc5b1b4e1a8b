"""firstlight: measure, explain and reproduce what the first layer of a convolutional network learns.

>>> import firstlight as fl
>>> images = fl.load_images("photos")
>>> moments = fl.PatchMoments(kernel_size=3, channels=3).update(images.images)
>>> basis = moments.basis(images.mean, images.std)
>>> bank = fl.load_filters(fl.build_model("resnet20"))
>>> profile = fl.energy_profile(bank, basis)
>>> fit = fl.fit_formula(profile, basis)
"""

import logging

import lazy_loader

logging.getLogger(__name__).addHandler(logging.NullHandler())  # nothing is printed that nobody asked for

# The public names stand in __init__.pyi alone: imported when first used, so that `import firstlight` stays quick.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
