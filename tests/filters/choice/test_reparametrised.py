"""Weights in parts: what is put together equals, bit for bit or nearly, the weight that torch's own modules use."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from firstlight.errors import SourceError
from firstlight.filters.choice.first_layer import bank_of
from firstlight.filters.choice.reparametrised import effective_entries
from firstlight.filters.choice.tensors import TensorEntry, TensorFile


def entries_of(module: nn.Module) -> tuple[TensorEntry, ...]:
    return tuple(
        TensorEntry(name, tuple(tensor.shape), "float64", lambda tensor=tensor: tensor.detach().double().numpy().copy())
        for name, tensor in module.state_dict().items()
    )


def pruned(conv: nn.Conv2d) -> nn.Module:
    return prune.l1_unstructured(conv, "weight", amount=0.4)


WAYS: dict[str, Callable[[nn.Conv2d], nn.Module]] = {
    "weight norm": parametrizations.weight_norm,
    "weight norm, over inputs": lambda conv: parametrizations.weight_norm(conv, dim=1),
    "weight norm, over all": lambda conv: parametrizations.weight_norm(conv, dim=None),  # type: ignore[arg-type]
    "spectral norm": lambda conv: parametrizations.spectral_norm(conv, n_power_iterations=3),
    "pruned": pruned,
}
OLD_WAYS = {"old weight norm": weight_norm, "old spectral norm": spectral_norm}


class Net(nn.Module):
    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv
        self.conv2 = nn.Conv2d(8, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.conv1(x))


def trained(conv: nn.Module) -> Net:
    """A network after some steps, so that lengths, masks and power iterations are not those of the beginning."""
    net = Net(conv).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for seed in range(3):
        x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    return net.eval()


def used_weight(net: Net) -> np.ndarray:
    """What the evaluated layer convolves with: its answer to the unit impulses."""
    impulses = torch.zeros(3 * 9, 3, 3, 3, dtype=torch.float64)
    impulses.view(27, 27).fill_diagonal_(1)
    with torch.no_grad():
        answers = net.conv1(impulses) - net.conv1(torch.zeros(1, 3, 3, 3, dtype=torch.float64))
    return answers.reshape(27, -1).T.reshape(-1, 3, 3, 3).numpy()


@pytest.mark.parametrize("way", [*WAYS, *OLD_WAYS])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.*is deprecated:FutureWarning")
def test_the_weight_is_the_one_that_the_layer_uses(way: str):
    torch.manual_seed(0)
    net = trained({**WAYS, **OLD_WAYS}[way](nn.Conv2d(3, 8, 3)))
    bank = bank_of(TensorFile("net.pt", entries_of(net), ordered=True))
    assert bank.layer == "conv1"
    assert bank.alternatives == ()
    assert not any("does not tell" in note for note in bank.notes)
    np.testing.assert_allclose(bank.weight, used_weight(net), rtol=1e-12, atol=1e-12)
    stored = [entry for entry in entries_of(net) if entry.name.startswith("conv1") and entry.shape == (8, 3, 3, 3)]
    assert not np.allclose(stored[0].read(), bank.weight)  # the stored part alone would have been wrong


def test_other_tensors_stay_as_they_are_and_in_their_places():
    conv = parametrizations.weight_norm(nn.Conv2d(3, 8, 3))
    before = entries_of(Net(conv))
    after = effective_entries(before)
    changed = {old.name: new.name for old, new in zip(before, after, strict=True) if old is not new}
    assert changed == {"conv1.parametrizations.weight.original1": "conv1.weight"}


def test_a_network_without_any_is_left_alone():
    before = entries_of(Net(nn.Conv2d(3, 8, 3)))
    assert all(old is new for old, new in zip(before, effective_entries(before), strict=True))


def test_of_a_parametrisation_that_is_not_known_the_stored_numbers_are_taken_and_it_is_said():
    class Doubled(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return 2 * weight

    conv = nn.Conv2d(3, 8, 3)
    stored = conv.weight.detach().double().numpy().copy()
    parametrize.register_parametrization(conv, "weight", Doubled())
    bank = bank_of(TensorFile("net.pt", entries_of(Net(conv)), ordered=True))
    np.testing.assert_array_equal(bank.weight, stored)
    assert any("in a way that the file does not tell" in note for note in bank.notes)


@pytest.mark.parametrize(
    ("names", "shapes"),
    [
        (("weight_v", "weight_g"), ((8, 3, 3, 3), (5, 1, 1, 1))),
        (("weight_v", "weight_g"), ((8, 3, 3, 3), (2, 8, 3, 3, 3))),
        (("weight_orig", "weight_mask"), ((8, 3, 3, 3), (8, 3, 3, 4))),
        (("weight_orig", "weight_mask"), ((8, 3, 3, 3), (2, 8, 3, 3, 3))),
        (("weight_orig", "weight_u", "weight_v"), ((8, 3, 3, 3), (8,), (28,))),
        (("weight_orig", "weight_u", "weight_v"), ((8, 3, 3, 3), (8, 8), (27,))),
    ],
)
def test_parts_that_do_not_fit_are_refused(names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...]):
    entries = [
        TensorEntry(f"conv1.{name}", shape, "float32", lambda shape=shape: np.ones(shape))
        for name, shape in zip(names, shapes, strict=True)
    ]
    with pytest.raises(SourceError, match="do not fit together"):
        bank_of(TensorFile("net.pt", tuple(entries), ordered=True))
