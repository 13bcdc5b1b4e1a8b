"""What a failed training leaves in its folder: that it diverged, and where."""

from pathlib import Path
from typing import Any

from firstlight.errors import RunError
from firstlight.training.run_files import read_json
from firstlight.training.spec import RunSpec

FAILED = "failed.json"


def stored_failure(folder: Path) -> dict[str, Any] | None:
    """What the training in a folder failed of: `step` and `last_finite_loss`; None where none failed.

    Raises
    ------
    RunError
        The note of the failure is damaged.
    """
    path = folder / FAILED
    if not path.exists():
        return None
    failed = read_json(path)
    loss = failed.get("last_finite_loss", "")
    known = failed.get("hash") == folder.name and isinstance(failed.get("step"), int)
    if not known or not (loss is None or isinstance(loss, (int, float))):
        raise RunError(f"{path} is damaged; expected the hash {folder.name}, a step and a loss")
    return failed


def diverged(failed: dict[str, Any], folder: Path, spec: RunSpec) -> RunError:
    """The error of a failure that `stored_failure` returned."""
    return RunError(
        f"the training diverged: loss or weights were no longer finite after step {failed['step']} "
        f"of {spec.steps} (last finite loss {failed['last_finite_loss']}): "
        f"lower lr={spec.lr}, or delete {folder} to try again"
    )
