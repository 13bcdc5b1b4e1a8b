from .engines import open_engine as open_engine
from .errors import (
    FirstlightError as FirstlightError,
    InputError as InputError,
    RunError as RunError,
    SourceError as SourceError,
)
from .experiments import Claim as Claim
from .filters import (
    FilterBank as FilterBank,
    load_filters as load_filters,
)
from .images import (
    ImageSet as ImageSet,
    ImageStream as ImageStream,
    image_stream as image_stream,
    load_images as load_images,
    shards_of as shards_of,
)
from .inspection import (
    Comparison as Comparison,
    Inspection as Inspection,
    PatchStatistics as PatchStatistics,
    compare as compare,
    inspect as inspect,
    patch_statistics as patch_statistics,
)
from .models import build_model as build_model
from .patches import (
    ImageLags as ImageLags,
    PatchBasis as PatchBasis,
    PatchMoments as PatchMoments,
)
from .patches.out_of_core.accumulate import accumulate as accumulate
from .profile import (
    EnergyProfile as EnergyProfile,
    energy_profile as energy_profile,
)
from .report.report import Report as Report
from .reproduction import (
    Reproduction as Reproduction,
    recorded as recorded,
    reproduce as reproduce,
)
from .theory import (
    FormulaFit as FormulaFit,
    TheoryFit as TheoryFit,
    composition_profile as composition_profile,
    fit_formula as fit_formula,
    fit_theory as fit_theory,
    linear_cnn_profile as linear_cnn_profile,
)
from .training import (
    FirstLayerMonitor as FirstLayerMonitor,
    Run as Run,
    RunSpec as RunSpec,
    load_history as load_history,
    train as train,
)
from .utils.version import __version__ as __version__
from .whitening import (
    AutocorrelationCurve as AutocorrelationCurve,
    autocorrelation as autocorrelation,
    initialise_first_layer as initialise_first_layer,
    whitening_bank as whitening_bank,
    whitening_filters as whitening_filters,
)

__all__: list[str]
