"""Training on the authors' recipe, recorded: what to train, the training, and the run it leaves on disk.

Read first: `trainer.py`.
"""

from firstlight.training.describe import describe
from firstlight.training.learning_rates import flow_time
from firstlight.training.loop import train
from firstlight.training.monitor import FirstLayerMonitor, History, MonitorWarning, load_history
from firstlight.training.outcome import Outcome
from firstlight.training.progress.display import TrainingProgress
from firstlight.training.progress.state import Progress
from firstlight.training.run import Run
from firstlight.training.spec import RunSpec
from firstlight.training.steps import record_steps
from firstlight.training.store import StoredRun, find_run, remove_runs, stored_runs
from firstlight.training.workers.pool import check_at_once, train_all

__all__ = [
    "FirstLayerMonitor",
    "History",
    "MonitorWarning",
    "Outcome",
    "Progress",
    "Run",
    "RunSpec",
    "StoredRun",
    "TrainingProgress",
    "check_at_once",
    "describe",
    "find_run",
    "flow_time",
    "load_history",
    "record_steps",
    "remove_runs",
    "stored_runs",
    "train",
    "train_all",
]
