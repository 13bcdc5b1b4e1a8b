"""Gradient descent on a network, one step at a time; a training that is killed goes on to the same bits."""

import math
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstlight.models import build_model
from firstlight.training.batches import channels_first
from firstlight.training.checkpoint import Checkpoint, Tally
from firstlight.training.cuda_graph import repeat_as_graph
from firstlight.training.machine import describe_device, images_at_once
from firstlight.training.optimisation import build_optimizer, restore_state, state_of
from firstlight.training.prepared import Prepared
from firstlight.training.progress.state import Progress
from firstlight.training.random_numbers import INITIALISATION, default_generators, seed_generators
from firstlight.training.spec import RunSpec
from firstlight.training.start import start_first_layer
from firstlight.training.steps import is_test_step, record_steps
from firstlight.training.turns import Turn, fetched
from firstlight.training.update import Update, logits, repeat_eagerly

# A GPU is asked for its losses only so often, because it stands still meanwhile; a CPU has them at hand.
STEPS_BETWEEN_READS = {"cpu": 1, "cuda": 16}


class Diverged(Exception):
    """The loss or the first layer is no longer finite."""

    def __init__(self, step: int, last_loss: float | None) -> None:
        super().__init__(step, last_loss)
        self.step = step
        self.last_loss = last_loss


class Trainer:
    """A training in memory: the network, its images, and what was recorded so far.

    Parameters
    ----------
    spec : RunSpec
        What to train.
    images : Prepared
        What it trains on and is measured on, and by that the device.
    threads : int
        CPU threads that torch uses; noted in checkpoints.
    """

    def __init__(self, spec: RunSpec, images: Prepared, threads: int) -> None:
        self.spec = spec
        self.images = images  # held, so that others that train on the same share them
        self.device = device = images.train.device
        self.threads = threads
        # On the CPU first, so that the initial weights are the same on every device.
        seed_generators(spec, INITIALISATION, 0, default_generators(torch.device("cpu")))
        model = build_model(
            spec.model, classes=spec.classes, channels=spec.channels, width=spec.width, stride=spec.stride
        )
        if spec.first_layer != "default":
            start_first_layer(first_layer(model).weight, spec, images.source)
        if spec.frozen:
            first_layer(model).requires_grad_(False)
        # Channels last is the faster layout of both networks, by a sixth to a third on a CPU.
        self.model: nn.Module = model.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        on_gpu = device.type == "cuda"
        self.optimizer = build_optimizer(spec, self.model, on_device=on_gpu)
        repeat = repeat_as_graph if on_gpu else repeat_eagerly
        self.update = Update(spec, self.model, self.optimizer, images.train, repeat)
        # Some three outputs of the first layer's size, the largest there is, are in memory at once.
        image_bytes = 3 * first_layer(model).out_channels * images.test.positions * 4
        self.test_batch = images_at_once(device, image_bytes, spec.batch_size)
        self.step = 0
        self.filters: list[np.ndarray] = []
        self.rows: list[dict[str, float | None]] = []
        self.tally = Tally()
        self.unread: list[Tensor] = []
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.earlier_seconds = 0.0
        self.resumed = 0
        self.first_step = 0
        self.clock = time.monotonic()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take the training up where a checkpoint of the same spec and machine left it."""
        # Copies: torch warns of the read-only arrays that come from a file.
        self.model.load_state_dict({name: torch.tensor(array.copy()) for name, array in checkpoint.model.items()})
        restore_state(self.optimizer, self.model, checkpoint.optimizer)
        self.step = self.first_step = checkpoint.step
        self.filters = list(checkpoint.filters)
        self.rows = checkpoint.rows
        self.tally = checkpoint.tally
        self.started = checkpoint.started
        self.earlier_seconds = checkpoint.seconds
        self.resumed = checkpoint.resumed + 1

    def run(self, save: Callable[["Trainer"], None]) -> Generator[Turn | Progress, None, None]:
        """Train to the last step, in turns; a state is told before the first one and whenever the losses were read.

        Parameters
        ----------
        save : callable
            Called after each state, when the next turn is taken; writes a checkpoint when it is time for one.

        Raises
        ------
        Diverged
            The loss or a recorded weight is not finite.
        """
        records = set(record_steps(self.spec.steps))
        if not self.filters:
            yield from self._record()
        self.clock = time.monotonic()
        yield self._progress(recorded=True)
        while self.step < self.spec.steps:
            self.unread.append(self.update(self.step))
            self.step += 1
            recorded = self.step in records
            if not recorded and len(self.unread) < STEPS_BETWEEN_READS[self.device.type]:
                yield Turn.WORKED
                continue
            yield from self._read()
            if recorded:
                yield from self._record()
            yield self._progress(recorded)
            save(self)

    def checkpoint(self) -> Checkpoint:
        """The training as it is now; only where every loss was read."""
        # Copies: the next step changes the weights in place.
        model = {name: tensor.cpu().numpy().copy() for name, tensor in self.model.state_dict().items()}
        return Checkpoint(
            step=self.step,
            machine=describe_device(self.device),
            threads=self.threads,
            model=model,
            filters=np.stack(self.filters),
            rows=self.rows,
            tally=self.tally,
            started=self.started,
            seconds=self.seconds,
            resumed=self.resumed,
            optimizer=state_of(self.optimizer, self.model),
        )

    @property
    def seconds(self) -> float:
        """Training time in all, earlier processes included."""
        return self.earlier_seconds + time.monotonic() - self.clock

    def _read(self) -> Generator[Turn, None, None]:
        first = self.step - len(self.unread)
        losses = yield from fetched(torch.stack(self.unread))
        for offset, (loss, correct) in enumerate(losses.tolist()):
            if not math.isfinite(loss):
                raise Diverged(first + offset, self.tally.last_loss)
            self.tally.loss += loss
            self.tally.correct += int(correct)
            self.tally.batches += 1
            self.tally.last_loss = loss
        self.unread.clear()

    def _record(self) -> Generator[Turn, None, None]:
        """Keep the first layer and a row of metrics, and begin a new tally."""
        weight = (yield from fetched(first_layer(self.model).weight.detach())).numpy().copy()
        if not np.isfinite(weight).all():
            raise Diverged(self.step, self.tally.last_loss)
        self.filters.append(weight)
        tally = self.tally
        row: dict[str, float | None] = {
            "step": self.step,
            "epoch": self.step / self.update.batches_per_epoch,
            "train_loss": tally.loss / tally.batches if tally.batches else None,
            "train_accuracy": self._accuracy() if tally.batches else None,
            "test_loss": None,
            "test_accuracy": None,
        }
        if is_test_step(self.step, self.spec.steps):
            row["test_loss"], row["test_accuracy"] = yield from self._test()
        self.rows.append(row)
        self.tally = Tally(last_loss=tally.last_loss)

    def _accuracy(self) -> float:
        return self.tally.correct / (self.tally.batches * self.spec.batch_size)

    def _test(self) -> Generator[Turn, None, tuple[float, float]]:
        """Loss and accuracy on the test images, in evaluation mode."""
        count = len(self.images.test)
        self.model.eval()
        with torch.no_grad():
            parts = torch.arange(count, device=self.device).split(self.test_batch)
            measured = torch.stack([self._measure(part) for part in parts])
        self.model.train()
        loss, correct = map(sum, zip(*(yield from fetched(measured)).tolist(), strict=True))
        if not math.isfinite(loss):
            raise Diverged(self.step, self.tally.last_loss)
        return loss / count, correct / count

    def _measure(self, index: Tensor) -> Tensor:
        """The loss of some test images and how many are correct, added up, (2,) float64."""
        images, labels = self.images.test.batch(index)
        scores = logits(self.spec, self.model, channels_first(images))
        loss = F.cross_entropy(scores, labels, reduction="sum")
        return torch.stack((loss.double(), (scores.argmax(dim=1) == labels).sum().double()))

    def _progress(self, recorded: bool) -> Progress:
        # A record has just emptied the tally: its row says what was in it.
        accuracy = self._accuracy() if self.tally.batches else self.rows[-1]["train_accuracy"]
        images = (self.step - self.first_step) * self.spec.batch_size
        return Progress(
            step=self.step,
            steps=self.spec.steps,
            loss=math.nan if self.tally.last_loss is None else self.tally.last_loss,
            accuracy=math.nan if accuracy is None else accuracy,
            images_per_second=images / (time.monotonic() - self.clock) if images else math.nan,
            initial=self.filters[0],
            filters=self.filters[-1] if recorded else None,
        )


def first_layer(model: nn.Module) -> nn.Conv2d:
    """The first convolution of one of our models, in which modules are in order of execution."""
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))
