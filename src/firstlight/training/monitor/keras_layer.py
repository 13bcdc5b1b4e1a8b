"""The first layer of a Keras model that is being trained, on any backend."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from firstlight.errors import InputError, SourceError
from firstlight.filters import FilterBank
from firstlight.utils.text import listed


class KerasLayer:
    """Reads the kernel of the first `Conv2D` in the model's own order, and never changes it.

    Parameters
    ----------
    model : keras.Model
        It has weights.
    layer : str, optional
        Name of the `Conv2D` to take instead.

    Attributes
    ----------
    bank : FilterBank
        The layer as it was when it was found.
    """

    def __init__(self, model: Any, layer: str | None = None) -> None:
        found = list(_convolutions(model))
        taken = [one for one in found if layer in (None, one.name)]
        if not found:
            raise SourceError(f"{model.name} has no Conv2D; expected a model with a convolution of images")
        if not taken:
            raise InputError(f"layer is {layer!r}; expected one of {listed([one.name for one in found])}")
        self.model, self.layer = model, taken[0]
        if not self.layer.built:
            # TensorFlow makes them in the first update, too late for a callback to see what they begin with.
            raise SourceError(f"{self.layer.name} has no weights yet; expected a built model: call its build before")
        self.bank = self.read()

    def read(self) -> FilterBank:
        """The layer as it is now."""
        import keras

        if hasattr(self.model, "jax_state_sync"):  # JAX keeps the weights elsewhere during an epoch
            self.model.jax_state_sync()
        kernel = np.asarray(keras.ops.convert_to_numpy(self.layer.kernel)).astype(np.float64)
        bank = FilterBank(
            kernel.transpose(3, 2, 0, 1),  # from (rows, columns, channels, filters)
            layer=self.layer.name,
            source=self.model.name,
            stride=tuple(self.layer.strides),
            dilation=tuple(self.layer.dilation_rate),
            groups=self.layer.groups,
        )
        return bank.ungrouped()

    @property
    def is_frozen(self) -> bool:
        """Whether it is left out of the training."""
        return not (self.layer.trainable and self.model.trainable)


def _convolutions(model: Any) -> Iterator[Any]:
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            yield layer
        elif hasattr(layer, "layers"):
            yield from _convolutions(layer)
