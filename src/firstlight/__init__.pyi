from .errors import (
    FirstlightError as FirstlightError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    RunError as RunError,
)
from .errors import (
    SourceError as SourceError,
)
from .experiments import Claim as Claim
from .filters import (
    FilterBank as FilterBank,
)
from .filters import (
    load_filters as load_filters,
)
from .images import (
    ImageSet as ImageSet,
)
from .images import (
    ImageStream as ImageStream,
)
from .images import (
    image_stream as image_stream,
)
from .images import (
    load_images as load_images,
)
from .inspection import (
    Comparison as Comparison,
)
from .inspection import (
    Inspection as Inspection,
)
from .inspection import (
    PatchStatistics as PatchStatistics,
)
from .inspection import (
    compare as compare,
)
from .inspection import (
    inspect as inspect,
)
from .inspection import (
    patch_statistics as patch_statistics,
)
from .models import build_model as build_model
from .patches import (
    ImageLags as ImageLags,
)
from .patches import (
    PatchBasis as PatchBasis,
)
from .patches import (
    PatchMoments as PatchMoments,
)
from .profile import (
    EnergyProfile as EnergyProfile,
)
from .profile import (
    energy_profile as energy_profile,
)
from .report.report import Report as Report
from .reproduction import (
    Reproduction as Reproduction,
)
from .reproduction import (
    recorded as recorded,
)
from .reproduction import (
    reproduce as reproduce,
)
from .theory import (
    FormulaFit as FormulaFit,
)
from .theory import (
    fit_formula as fit_formula,
)
from .theory import (
    linear_cnn_profile as linear_cnn_profile,
)
from .training import (
    Run as Run,
)
from .training import (
    RunSpec as RunSpec,
)
from .training import (
    train as train,
)
from .utils.version import __version__ as __version__
from .whitening import (
    AutocorrelationCurve as AutocorrelationCurve,
)
from .whitening import (
    autocorrelation as autocorrelation,
)
from .whitening import (
    whitening_bank as whitening_bank,
)

__all__: list[str]
