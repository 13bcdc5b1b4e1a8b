"""firstlight: measure, explain and reproduce what the first layer of a convolutional network learns.

>>> import firstlight as fl
>>> images = fl.load_images("photos")
>>> moments = fl.PatchMoments(kernel_size=3, channels=3).update(images.images)
>>> basis = moments.basis(images.mean, images.std)
>>> bank = fl.load_filters(fl.build_model("resnet20"))
>>> profile = fl.energy_profile(bank, basis)
>>> fit = fl.fit_formula(profile, basis)
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from firstlight.errors import FirstlightError, InputError, RunError, SourceError
    from firstlight.experiments import Claim
    from firstlight.filters import FilterBank, load_filters
    from firstlight.images import ImageSet, ImageStream, image_stream, load_images
    from firstlight.inspection import Comparison, Inspection, PatchStatistics, compare, inspect, patch_statistics
    from firstlight.models import build_model
    from firstlight.patches import ImageLags, PatchBasis, PatchMoments
    from firstlight.profile import EnergyProfile, energy_profile
    from firstlight.record import recorded
    from firstlight.report.report import Report
    from firstlight.reproduction import Reproduction, reproduce
    from firstlight.theory import FormulaFit, fit_formula, linear_cnn_profile
    from firstlight.training import Run, RunSpec, train
    from firstlight.whitening import AutocorrelationCurve, autocorrelation, whitening_bank

# Where each public name lives. Imported at first use: `import firstlight` and `firstlight --help` stay quick.
_HOMES = {
    "AutocorrelationCurve": "whitening",
    "Claim": "experiments",
    "Comparison": "inspection",
    "EnergyProfile": "profile",
    "FilterBank": "filters",
    "FirstlightError": "errors",
    "FormulaFit": "theory",
    "ImageLags": "patches",
    "ImageSet": "images",
    "ImageStream": "images",
    "InputError": "errors",
    "Inspection": "inspection",
    "PatchBasis": "patches",
    "PatchMoments": "patches",
    "PatchStatistics": "inspection",
    "Report": "report.report",
    "Reproduction": "reproduction",
    "Run": "training",
    "RunError": "errors",
    "RunSpec": "training",
    "SourceError": "errors",
    "autocorrelation": "whitening",
    "build_model": "models",
    "compare": "inspection",
    "energy_profile": "profile",
    "fit_formula": "theory",
    "image_stream": "images",
    "inspect": "inspection",
    "linear_cnn_profile": "theory",
    "load_filters": "filters",
    "load_images": "images",
    "patch_statistics": "inspection",
    "recorded": "record",
    "reproduce": "reproduction",
    "train": "training",
    "whitening_bank": "whitening",
}

__all__ = [
    "AutocorrelationCurve",
    "Claim",
    "Comparison",
    "EnergyProfile",
    "FilterBank",
    "FirstlightError",
    "FormulaFit",
    "ImageLags",
    "ImageSet",
    "ImageStream",
    "InputError",
    "Inspection",
    "PatchBasis",
    "PatchMoments",
    "PatchStatistics",
    "Report",
    "Reproduction",
    "Run",
    "RunError",
    "RunSpec",
    "SourceError",
    "__version__",
    "autocorrelation",
    "build_model",
    "compare",
    "energy_profile",
    "fit_formula",
    "image_stream",
    "inspect",
    "linear_cnn_profile",
    "load_filters",
    "load_images",
    "patch_statistics",
    "recorded",
    "reproduce",
    "train",
    "whitening_bank",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'firstlight' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
