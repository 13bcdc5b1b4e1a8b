"""The callback in trainings by Lightning itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import firstlight as fl
from firstlight.training import MonitorWarning

from .networks import BASIS, images_and_labels, network

pl = pytest.importorskip("pytorch_lightning")
FirstLayerCallback = pytest.importorskip("firstlight.training.monitor.lightning_callback").FirstLayerCallback

pytestmark = [  # what Lightning and its own libraries warn of
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*TreeSpec", "ignore:.*ckpt_path"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory", "ignore:.*isinstance.treespec"),
]


class Module(pl.LightningModule):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)


def fit(module: Module, callback: Any, updates: int, folder: Path, ckpt: Path | None = None, **options: Any) -> Any:
    given: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "log_every_n_steps": 1} | options
    given["callbacks"] = [*([callback] if callback else []), *options.get("callbacks", [])]
    trainer = pl.Trainer(
        max_steps=updates,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **given,
    )
    loader = DataLoader(TensorDataset(*images_and_labels(64)), batch_size=8)
    trainer.fit(module, loader, ckpt_path=ckpt)
    return trainer


def test_updates_are_counted_not_batches_and_the_training_is_not_changed(tmp_path: Path):
    callback = FirstLayerCallback(BASIS, steps=[2, 5, 100])
    watched, alone = Module(network()), Module(network())
    start = fl.load_filters(watched.net)
    fit(watched, callback, 6, tmp_path, accumulate_grad_batches=3)
    fit(alone, None, 6, tmp_path, accumulate_grad_batches=3)
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))
    assert callback.monitor.history["step"].tolist() == [0, 2, 5, 6]  # and what the end looks at
    expected = fl.energy_profile(watched.net, BASIS, start).energy
    np.testing.assert_allclose(callback.monitor.snapshot().energies[-1], expected)


def test_a_checkpoint_of_lightning_is_gone_on_from(tmp_path: Path):
    whole = FirstLayerCallback(BASIS)
    every_epoch = pl.callbacks.ModelCheckpoint(tmp_path, filename="at-{step}", save_top_k=-1)
    fit(Module(network()), whole, 12, tmp_path, callbacks=[every_epoch], enable_checkpointing=True)
    seen: list[int] = []
    resumed = FirstLayerCallback(BASIS, loggers=[lambda values, step: seen.append(step)])
    module = Module(network(seed=3))
    fit(module, resumed, 12, tmp_path, tmp_path / "at-step=8.ckpt")
    np.testing.assert_array_equal(resumed.monitor.initial.weight, whole.monitor.initial.weight)
    assert resumed.monitor.history["step"].tolist() == whole.monitor.history["step"].tolist()
    # Lightning itself gives the first batch of an epoch twice when it is resumed there, so that what follows differs.
    energies = resumed.monitor.snapshot().energies
    np.testing.assert_allclose(energies[:10], whole.monitor.snapshot().energies[:10])
    np.testing.assert_allclose(energies[-1], fl.energy_profile(module.net, BASIS, whole.monitor.initial).energy)
    assert seen == [9, 10, 12]  # nothing is told twice


def test_the_loggers_of_the_trainer_are_given_numbers_and_tensorboard_the_picture(tmp_path: Path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

    board, table = TensorBoardLogger(tmp_path, name="board"), CSVLogger(tmp_path, name="table")
    fit(Module(network()), FirstLayerCallback(BASIS, steps=2), 4, tmp_path, logger=[board, table])
    found = events.EventAccumulator(board.log_dir).Reload()
    assert [event.step for event in found.Scalars("firstlight/change")] == [0, 2, 4]
    assert [event.step for event in found.Images("firstlight/profile")] == [2, 4]
    assert "firstlight/change" in (Path(table.log_dir) / "metrics.csv").read_text()


@pytest.mark.parametrize(
    ("net", "options", "told"),
    [
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), {}, "lazy"),
        (network(), {"layer": "fc"}, "layer is 'fc'"),
        (network(), {"steps": 0}, "steps is 0"),
    ],
)
def test_what_cannot_be_watched_is_warned_of_once_and_trained(
    net: nn.Module, options: dict[str, Any], told: str, tmp_path: Path
):
    callback = FirstLayerCallback(BASIS, **options)
    with pytest.warns(MonitorWarning, match=told) as said:
        trainer = fit(Module(net), callback, 3, tmp_path)
    assert len([one for one in said if one.category is MonitorWarning]) == 1
    assert trainer.global_step == 3
    assert callback.monitor is None
    assert callback.state_dict() == {}


def test_the_state_of_another_network_stops_no_training(tmp_path: Path):
    other = fl.FirstLayerMonitor(nn.Sequential(nn.Conv2d(3, 9, 3)), BASIS).state_dict()
    callback = FirstLayerCallback(BASIS)
    callback.load_state_dict(other)
    with pytest.warns(MonitorWarning, match="the state is of 0, 9 x 3 x 3 x 3"):
        trainer = fit(Module(network()), callback, 3, tmp_path)
    assert trainer.global_step == 3


def test_an_option_that_is_none_is_told_where_it_is_written():
    with pytest.raises(TypeError, match="step_s"):
        FirstLayerCallback(BASIS, step_s=3)
