"""The monitor as a callback of Hugging Face's `Trainer`; imports transformers, and nothing else here imports it."""

from typing import Any

import torch
from transformers import TrainerCallback  # pyright: ignore[reportMissingImports]

from firstlight.training.monitor.attached import Attached

_KEY = "firstlight"  # in trainer_state.json, among the states of callbacks


class FirstLayerCallback(Attached, TrainerCallback):
    """Watches the first layer of the network that a `Trainer` trains.

    Updates are the trainer's `global_step`; a training that is resumed from a checkpoint goes on with its history.

    It is made with the data and options of `FirstLayerMonitor`, which `Attached` describes.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Make the monitor, or go on with that of a checkpoint."""
        if _KEY in state.stateful_callbacks:
            self.load_state_dict({name: _from_json(value) for name, value in state.stateful_callbacks[_KEY].items()})
        self.begin(model, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count the updates."""
        self.reach(state.global_step)
        self._keep(state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the history into the checkpoint of an epoch."""
        self._keep(state, control)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the last update."""
        self.end()

    def _keep(self, state: Any, control: Any) -> None:
        # Not as an ExportableState: the trainer would make that anew, without data and options.
        if control.should_save:
            state.stateful_callbacks[_KEY] = {name: _to_json(value) for name, value in self.state_dict().items()}


def _to_json(value: Any) -> Any:
    return {"tensor": value.tolist()} if isinstance(value, torch.Tensor) else value


def _from_json(value: Any) -> Any:
    return torch.tensor(value["tensor"], dtype=torch.float64) if isinstance(value, dict) else value
