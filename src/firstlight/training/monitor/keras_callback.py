"""The monitor as a callback of Keras 3, on any of its backends; imports Keras, and nothing else here imports it."""

from typing import Any

import keras

from firstlight.training.monitor.attached import Attached


class FirstLayerCallback(Attached, keras.callbacks.Callback):
    """Watches the first `Conv2D` of a Keras model.

    It is made with the data and options of `FirstLayerMonitor`, which `Attached` describes.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Make the monitor."""
        model: Any = self.model
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self._accumulated = getattr(optimizer, "gradient_accumulation_steps", None) or 1
        self._batches = 0
        self.begin(model, 0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Batches are counted from 0 again."""
        self._batch = -1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the updates: not by the optimiser's number, which a device would have to be waited for."""
        self._batches += batch - self._batch  # several where `steps_per_execution` has it
        self._batch = batch
        self.reach(self._batches // self._accumulated)

    def on_train_end(self, logs: Any = None) -> None:
        """Look at the last update."""
        self.end()
