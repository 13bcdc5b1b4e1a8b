"""A monitor inside of a framework's callback: made when a training begins, told of updates, kept in checkpoints."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from firstlight.errors import FirstlightError
from firstlight.training.monitor.monitor import FirstLayerMonitor, MonitorWarning
from firstlight.utils.text import first_line


class Attached:
    """What the callbacks of all frameworks share.

    Parameters
    ----------
    data : PatchBasis, or whatever else `patch_statistics` takes; optional
        As of `FirstLayerMonitor`.
    **options : Any
        Of `FirstLayerMonitor`.

    Attributes
    ----------
    monitor : FirstLayerMonitor or None
        From when the training begins; None, too, if the layer cannot be watched, which is warned of.
    """

    def __init__(self, data: Any = None, **options: Any) -> None:
        inspect.signature(FirstLayerMonitor).bind(None, data, **options)  # an option that is none is told at once
        super().__init__()
        self.monitor: FirstLayerMonitor | None = None
        self._data, self._options = data, options
        self._state: Mapping[str, Any] | None = None
        self._seen = 0

    def begin(self, model: Any, updates: int, **defaults: Any) -> None:
        """A training begins or goes on, after so many updates; `defaults` are options that were not given."""
        self._seen = updates
        if self.monitor is not None:
            return
        try:
            self.monitor = FirstLayerMonitor(model, self._data, **{"state": self._state, **defaults, **self._options})
        except Exception as error:  # a training is never stopped by what only looks at it
            said = first_line(error, kind=not isinstance(error, FirstlightError))
            text = f"firstlight: the first layer is not watched: {said}; the training goes on"
            warnings.warn(text, MonitorWarning, stacklevel=3)

    def reach(self, updates: int) -> None:
        """The training has made so many updates."""
        new, self._seen = updates - self._seen, updates
        if self.monitor is not None and new > 0:  # of batches that are accumulated, most are no update
            self.monitor.step(new)

    def end(self) -> None:
        """The training ends: its last update is looked at, too."""
        if self.monitor is not None:
            self.monitor.measure()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs, for a checkpoint."""
        return dict(self._state or {}) if self.monitor is None else self.monitor.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there when the training begins."""
        self._state, self.monitor = state_dict or None, None
