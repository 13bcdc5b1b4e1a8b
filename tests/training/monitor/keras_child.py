"""Keras trainings that are watched, in a process of their own: Keras takes its backend from the environment."""

import json
import sys
import warnings
from typing import Any

import keras
import numpy as np

import firstlight as fl
from firstlight.training import MonitorWarning
from firstlight.training.monitor.keras_callback import FirstLayerCallback

IMAGES = fl.load_images("photos")
BASIS = fl.PatchMoments(3, 3).update(IMAGES.images).basis(IMAGES.mean, IMAGES.std)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 8, 8, 3)).astype("float32")
Y = (X.mean((1, 2, 3)) > 0).astype("int32")


def network(first: Any = None, built: bool = True) -> Any:
    """A model; on TensorFlow alone it makes a difference to a callback whether it is built."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inner = keras.Sequential([first or layers.Conv2D(8, 3, name="stem"), layers.ReLU()], name="inner")
    model = keras.Sequential([layers.Rescaling(1.0), inner, layers.Flatten(), layers.Dense(2)], name="net")
    if keras.backend.backend() == "tensorflow" and built:
        model.build((None, 8, 8, 3))
    return model


def fit(model: Any, callback: Any, epochs: int = 2, accumulated: int | None = None, **options: Any) -> None:
    optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=accumulated)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False, callbacks=[callback] if callback else [])


def weights(model: Any) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


def kernel(model: Any) -> np.ndarray:
    return weights(model)[0].transpose(3, 2, 0, 1).astype(float)


def steps(callback: FirstLayerCallback) -> list[int]:
    """At which updates it looked."""
    assert callback.monitor is not None
    return callback.monitor.history["step"].tolist()


def told(model: Any, **options: Any) -> list[str]:
    """What is warned of while a model is trained that cannot be watched."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit(model, FirstLayerCallback(BASIS, **options))
    return [str(one.message) for one in found if one.category is MonitorWarning]


def main() -> dict[str, Any]:
    """What the test looks at."""
    watched, alone, every = network(), network(), FirstLayerCallback(BASIS)
    watched.build((None, 8, 8, 3))
    start = kernel(watched)
    fit(watched, every)
    fit(alone, None)
    assert every.monitor is not None
    profile = fl.energy_profile(kernel(watched), BASIS, start).energy
    fewer = FirstLayerCallback(BASIS, steps=1)
    fit(network(), fewer, accumulated=4)
    several = FirstLayerCallback(BASIS, steps=1)
    fit(network(), several, steps_per_execution=1 if keras.backend.backend() == "torch" else 4)  # it has no more
    first = FirstLayerCallback(BASIS)
    halfway = network()
    fit(halfway, first, epochs=1)
    again = FirstLayerCallback(BASIS)
    again.load_state_dict(first.state_dict())
    fit(halfway, again, epochs=1)
    assert again.monitor is not None
    grouped = fl.FirstLayerMonitor(network_of(keras.layers.Conv2D(6, 3, groups=3)), BASIS)
    return {
        "backend": keras.backend.backend(),
        "layer": every.monitor.initial.layer,
        "steps": steps(every),
        "unchanged": all(np.array_equal(a, b) for a, b in zip(weights(watched), weights(alone), strict=True)),
        "profile": np.allclose(every.monitor.snapshot().energies[-1], profile),
        "accumulated": steps(fewer),
        "several": steps(several),
        "resumed": steps(again),
        "same": np.allclose(again.monitor.snapshot().energies[-1], profile, rtol=1e-4),
        "grouped": list(grouped.initial.weight.shape),
        "no convolution": told(keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])),
        "another layer": told(network(), layer="fc"),
        "not built": told(network(built=False)),
        "frozen": fl.FirstLayerMonitor(network_of(keras.layers.Conv2D(4, 3, trainable=False)), BASIS)._layer.is_frozen,
    }


def network_of(first: Any) -> Any:
    """A model that has its weights."""
    model = network(first)
    model.build((None, 8, 8, 3))
    return model


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
