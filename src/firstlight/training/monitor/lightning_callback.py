"""The monitor as a callback of Lightning 2; imports Lightning, and nothing else of the package imports it."""

from typing import Any

try:
    from lightning.pytorch import Callback  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError:  # the same, as a package of its own
    from pytorch_lightning import Callback

from firstlight.training.monitor.attached import Attached


class FirstLayerCallback(Attached, Callback):  # pyright: ignore[reportGeneralTypeIssues]
    """Watches the first layer of a LightningModule.

    Updates are the trainer's `global_step`, and measurements go to the trainer's loggers unless `loggers` is given.

    It is made with the data and options of `FirstLayerMonitor`, which `Attached` describes.
    """

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the monitor, or go on with that of a checkpoint."""
        self.begin(pl_module, trainer.global_step, loggers=[_written(logger) for logger in trainer.loggers])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the updates."""
        self.reach(trainer.global_step)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Look at the last update."""
        self.end()


def _written(logger: Any) -> Any:
    """TensorBoard's own writer, which takes pictures, too."""
    writer = getattr(logger, "experiment", None)  # which the trainer has asked for before
    return writer if hasattr(writer, "add_figure") else logger
