"""Training on the authors' recipe, recorded: what to train, the training, and the run it leaves on disk."""

from firstlight.training.loop import train
from firstlight.training.progress import Progress, TrainingProgress
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec, record_steps

__all__ = ["Progress", "Run", "RunSpec", "TrainingProgress", "record_steps", "train"]
