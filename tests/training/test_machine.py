"""What is asked of the machine that trains."""

from collections.abc import Generator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.training.sets import TEST, TRAIN, make_spec

from firstlight.training.machine import images_at_once
from firstlight.training.prepared import Prepared
from firstlight.training.trainer import Trainer
from firstlight.training.turns import Turn

GPU = torch.device("cuda", 0)
VGG11 = 3 * 64 * 32 * 32 * 4  # bytes an image of CIFAR-10


def test_a_cpu_tests_in_batches_as_it_trains():
    assert images_at_once(torch.device("cpu"), VGG11, 256) == 256


@pytest.mark.parametrize(("memory", "expected"), [(140 * 10**9, 14834), (80 * 2**30, 9102), (2**20, 256)])
def test_a_gpu_tests_as_many_images_at_once_as_a_twelfth_of_it_holds(memory, expected, monkeypatch):
    card = SimpleNamespace(total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", {GPU: card}.__getitem__)
    assert images_at_once(GPU, VGG11, 256) == expected
    assert expected == 256 or expected * VGG11 <= memory / 12 < (expected + 1) * VGG11


def end_of(turns: Generator[Turn, None, tuple[float, float]]) -> tuple[float, float]:
    with pytest.raises(StopIteration) as end:
        next(turns)
    return end.value.value


@pytest.mark.parametrize("at_once", [3, 7, 40, 1000])
def test_what_a_test_measures_does_not_depend_on_its_batches(at_once):
    spec = make_spec()
    trainer = Trainer(spec, Prepared.of(spec, TRAIN, TEST, torch.device("cpu")), 1)
    assert trainer.test_batch == 16
    loss, accuracy = end_of(trainer._test())
    trainer.test_batch = at_once
    np.testing.assert_allclose(end_of(trainer._test()), (loss, accuracy), rtol=1e-5)
