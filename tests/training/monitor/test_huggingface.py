"""The callback in trainings by Hugging Face's `Trainer`, where transformers and accelerate are installed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import firstlight as fl
from firstlight.training import MonitorWarning

from .networks import BASIS, images_and_labels, network

pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")
FirstLayerCallback = pytest.importorskip("firstlight.training.monitor.huggingface_callback").FirstLayerCallback

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*pin_memory"),
]


class Classifier(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.net = network(seed)

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.net(pixel_values)
        return {"logits": logits} | ({} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)})


class Images(Dataset[dict[str, torch.Tensor]]):
    images, labels = images_and_labels(64)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


def train(model: nn.Module, callback: Any, updates: int, folder: Path, resume: str = "", **options: Any) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=updates,
        per_device_train_batch_size=8,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        **{"save_strategy": "no", "lr_scheduler_type": "constant", **options},
    )
    callbacks = [callback] if callback else []
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=Images(), callbacks=callbacks)
    trainer.train(resume_from_checkpoint=resume or None)
    return trainer


def test_updates_are_counted_not_batches_and_the_training_is_not_changed(tmp_path: Path):
    callback = FirstLayerCallback(BASIS, steps=[2, 5, 100])
    watched, alone = Classifier(), Classifier()
    start = fl.load_filters(watched)
    train(watched, callback, 6, tmp_path, gradient_accumulation_steps=3)
    train(alone, None, 6, tmp_path, gradient_accumulation_steps=3)
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))
    assert callback.monitor.history["step"].tolist() == [0, 2, 5, 6]
    expected = fl.energy_profile(watched, BASIS, start).energy
    np.testing.assert_allclose(callback.monitor.snapshot().energies[-1], expected)


@pytest.mark.parametrize("restore", [False, True])
def test_a_checkpoint_of_the_trainer_is_gone_on_from(restore: bool, tmp_path: Path):
    whole = FirstLayerCallback(BASIS)
    train(Classifier(), whole, 12, tmp_path, save_strategy="steps", save_steps=7)
    at_7 = tmp_path / "checkpoint-7"
    assert json.loads((at_7 / "trainer_state.json").read_text())["stateful_callbacks"]["firstlight"]["count"] == 7
    seen: list[int] = []
    resumed = FirstLayerCallback(BASIS, loggers=[lambda values, step: seen.append(step)])
    restored = {"restore_callback_states_from_checkpoint": restore}
    train(Classifier(seed=3), resumed, 12, tmp_path, resume=str(at_7), **restored)
    np.testing.assert_array_equal(resumed.monitor.initial.weight, whole.monitor.initial.weight)
    assert resumed.monitor.history["step"].tolist() == whole.monitor.history["step"].tolist()
    np.testing.assert_allclose(resumed.monitor.snapshot().energies, whole.monitor.snapshot().energies)
    assert seen == [8, 9, 10, 12]


def test_what_cannot_be_watched_is_warned_of_once_and_trained(tmp_path: Path):
    callback = FirstLayerCallback(BASIS, layer="fc")
    with pytest.warns(MonitorWarning, match="layer is 'fc'") as said:
        trainer = train(Classifier(), callback, 3, tmp_path, save_strategy="steps", save_steps=2)
    assert len([one for one in said if one.category is MonitorWarning]) == 1
    assert trainer.state.global_step == 3
