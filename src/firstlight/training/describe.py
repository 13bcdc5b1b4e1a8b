"""A spec in words: the title of a training, wherever one is shown."""

from firstlight.models import MODELS
from firstlight.training.spec import RunSpec
from firstlight.training.spec_values import label_component
from firstlight.utils.text import plural

STANDARD_DATA, STANDARD_LR, STANDARD_BATCH_SIZE = "cifar10", 0.01, 256


def describe(spec: RunSpec) -> str:
    """A spec in words: network, seed, and all in which it differs from the paper's recipe on CIFAR-10.

    Examples
    --------
    >>> from firstlight.training import RunSpec, describe
    >>> described = {"data": "photos", "data_fingerprint": "ab", "test_fingerprint": "cd", "classes": 5, "channels": 1}
    >>> describe(RunSpec("vgg11", **described, mean=(0.5,), std=(0.2,), steps=42, seed=0, labels="random", width=16))
    'VGG11, seed 0, photos, random labels, width 16'
    """
    component = label_component(spec.labels)
    special = (
        (spec.data != STANDARD_DATA, spec.data),
        (spec.only is not None, "/".join(spec.only or ())),
        (spec.labels == "random", "random labels"),
        (component is not None, f"labels by component {component}"),
        (spec.first_layer != "default", f"first layer {spec.first_layer}"),
        (spec.frozen, "frozen"),
        (spec.width is not None, f"width {spec.width}"),
        (spec.stride != 1 and spec.scaled_component is None, f"stride {spec.stride}"),
        (spec.scaled_component is not None, f"component {spec.scaled_component} x {spec.scale:g}"),
        (spec.lr != STANDARD_LR, f"lr {spec.lr:g}"),
        (spec.batch_size != STANDARD_BATCH_SIZE, f"batches of {spec.batch_size}"),
        (spec.train_images is not None, f"{spec.train_images} {plural(spec.train_images or 0, 'image')}"),
        (spec.precision != "float32", spec.precision),
        (spec.optimizer != "sgd", spec.optimizer.title()),
        (spec.momentum > 0, f"momentum {spec.momentum:g}"),
        (spec.weight_decay > 0, f"weight decay {spec.weight_decay:g}"),
        (spec.schedule != "constant", spec.schedule),
        (spec.augmentation != "none", spec.augmentation),
    )
    return ", ".join([MODELS[spec.model].title, f"seed {spec.seed}", *(text for shown, text in special if shown)])
