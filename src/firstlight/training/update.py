"""One update of a network's weights, as a function of buffers: each time the same operations on the same memory."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from firstlight.training.augmentation import moved, moves
from firstlight.training.batches import DeviceImages, channels_first
from firstlight.training.learning_rates import learning_rate
from firstlight.training.optimisation import set_learning_rate
from firstlight.training.random_numbers import STEP, default_generators, epoch_order, seed_generators
from firstlight.training.spec import RunSpec


class Repeated(NamedTuple):
    """What repeats an update.

    Attributes
    ----------
    run : callable
        Updates the weights from the buffers as they are, and returns (loss, number correct), on the device.
    generators : list of torch.Generator
        What the update draws its random numbers from.
    """

    run: Callable[[], Tensor]
    generators: list[torch.Generator]


# Of an update and of the tensors that it changes.
Repeat = Callable[[Callable[[], Tensor], Callable[[], list[Tensor]]], Repeated]


class Update:
    """Fills the buffers of an update, and lets it be repeated.

    Parameters
    ----------
    spec : RunSpec
        What is trained.
    model : Module
        The network, on the device.
    optimizer : Optimizer
        Of its parameters.
    images : DeviceImages
        What it trains on.
    repeat : Repeat
        Called before the first update: makes of it what is called from then on.
    """

    def __init__(
        self, spec: RunSpec, model: nn.Module, optimizer: Optimizer, images: DeviceImages, repeat: Repeat
    ) -> None:
        self.batches_per_epoch = len(images) // spec.batch_size
        self._spec, self._model, self._optimizer, self._images = spec, model, optimizer, images
        self._epoch, self._order, self._rate = -1, torch.empty(0), float("nan")
        # The buffers: which images, which of them flipped, how far shifted; the learning rate is in the optimiser.
        self._index = torch.zeros(spec.batch_size, dtype=torch.int64, device=images.device)
        self._flips = torch.zeros(spec.batch_size, dtype=torch.bool, device=images.device)
        self._shifts = torch.zeros(spec.batch_size, 2, dtype=torch.int64, device=images.device)
        # No method: through one an update would hold itself, and its images would stay until Python looks for such.
        self._descend = partial(_descend, spec, model, optimizer, images, self._index, self._flips, self._shifts)
        self._repeat, self._repeated = repeat, None

    def __call__(self, step: int) -> Tensor:
        """Do the update that follows `step` others; returns (loss, number correct) (2,) float32, on the device."""
        self._fill(step)
        if self._repeated is None:
            self._repeated = self._repeat(self._descend, self._changed)
        seed_generators(self._spec, STEP, step, self._repeated.generators)
        return self._repeated.run()

    def _fill(self, step: int) -> None:
        spec = self._spec
        epoch, position = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.from_numpy(epoch_order(spec, epoch, len(self._images))).to(self._images.device)
        self._index.copy_(self._order[position * spec.batch_size : (position + 1) * spec.batch_size])
        if spec.augmentation != "none":
            for buffer, values in zip((self._flips, self._shifts), moves(spec, step), strict=True):
                _give(buffer, values)
        if (rate := learning_rate(spec, step)) != self._rate:
            set_learning_rate(self._optimizer, rate)
            self._rate = rate

    def _changed(self) -> list[Tensor]:
        """The tensors that an update changes: weights, running means, and what the optimiser keeps so far."""
        kept = [tensor for state in self._optimizer.state.values() for tensor in state.values()]
        return [tensor.detach() for tensor in (*self._model.parameters(), *self._model.buffers(), *kept)]


def _descend(
    spec: RunSpec,
    model: nn.Module,
    optimizer: Optimizer,
    images: DeviceImages,
    index: Tensor,
    flips: Tensor,
    shifts: Tensor,
) -> Tensor:
    """The update itself, which asks for nothing that is not on the device."""
    batch, labels = images.batch(index)
    if spec.augmentation != "none":
        batch = moved(batch, flips, shifts)
    scores = logits(spec, model, channels_first(batch))
    loss = F.cross_entropy(scores, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    correct = (scores.detach().argmax(dim=1) == labels).sum()
    return torch.stack((loss.detach(), correct.to(loss.dtype)))


def logits(spec: RunSpec, model: nn.Module, images: Tensor) -> Tensor:
    """What a network says of images (B, C, H, W): (B, classes) float32; its products are of the spec's precision."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=spec.precision == "bfloat16"):
        return model(images).float()


def repeat_eagerly(descend: Callable[[], Tensor], changed: Callable[[], list[Tensor]]) -> Repeated:
    """Nothing but the update, called again each time, as a CPU has it."""
    device = changed()[0].device
    return Repeated(descend, default_generators(device))


def _give(buffer: Tensor, values: np.ndarray) -> None:
    """Copy values into a buffer; a GPU fetches them when it comes to that, and the host goes on."""
    source = torch.from_numpy(values)
    buffer.copy_(source.pin_memory() if buffer.is_cuda else source, non_blocking=True)
