"""What TensorBoard reads of a training that was watched."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import firstlight as fl

from .networks import BASIS, network

events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_numbers_and_the_profile_are_read_back_from_the_event_file(tmp_path: Path):
    from torch.utils.tensorboard import SummaryWriter

    model = network()
    with SummaryWriter(tmp_path) as writer:
        monitor = fl.FirstLayerMonitor(model, BASIS, steps=2, loggers=[writer])
        for _ in range(4):
            with torch.no_grad():
                next(model.parameters()).mul_(1.1)
            monitor.step()
    found = events.EventAccumulator(str(tmp_path)).Reload()
    scalars = found.Scalars("firstlight/change")
    assert [event.step for event in scalars] == [0, 2, 4]
    assert [event.value for event in scalars] == pytest.approx(monitor.history["change"].tolist())
    assert "firstlight/nearest" not in found.Tags()["scalars"]
    pictures = found.Images("firstlight/profile")
    assert [event.step for event in pictures] == [2, 4]  # at step 0 there is no change to draw
    picture = np.asarray(Image.open(io.BytesIO(pictures[-1].encoded_image_string)).convert("L"))
    assert picture.shape[1] > 200
    assert picture.min() < 100 < 250 < picture.max()  # ink on paper
