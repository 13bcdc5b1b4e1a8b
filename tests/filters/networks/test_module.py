"""Networks of every build: the first convolution that is executed, its effective weight, and nothing left behind."""

import contextlib
import copy
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from firstlight.errors import InputError, SourceError
from firstlight.filters import FilterBank, load_filters


class Net(nn.Module):
    """Registers its layers in the order in which it does not use them."""

    def __init__(self, forward: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.last = nn.Conv2d(4, 2, 1)
        self.first = nn.Conv2d(3, 4, (3, 5), stride=(2, 1), padding=(1, 2), bias=False)
        self.run = forward or (lambda net, x: net.last(net.first(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(self, x)


def weight_of(conv: nn.Module) -> np.ndarray:
    assert isinstance(conv.weight, torch.Tensor)
    return conv.weight.detach().double().numpy()


def assert_is(bank: FilterBank, conv: nn.Module, layer: str) -> None:
    np.testing.assert_array_equal(bank.weight, weight_of(conv))
    assert bank.weight.dtype == np.float64
    assert bank.layer == layer


# Which layer


def test_the_first_convolution_executed_is_taken_not_the_first_registered():
    net = Net()
    bank = load_filters(net)
    assert_is(bank, net.first, "first")
    assert bank.source == "Net"
    assert (bank.stride, bank.padding, bank.dilation, bank.groups) == ((2, 1), (1, 2), (1, 1), 1)


def test_a_convolution_by_itself_has_an_empty_name():
    conv = nn.Conv2d(1, 6, 5)
    assert_is(load_filters(conv), conv, "")
    assert_is(load_filters(conv, layer=""), conv, "")


def test_nested_names_are_those_of_named_modules_and_can_be_given_back():
    net = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), Net()))
    bank = load_filters(net)
    inner = net.get_submodule("1.1")
    assert isinstance(inner, Net)
    assert_is(bank, inner.first, "1.1.first")
    assert_is(load_filters(net, layer=bank.layer), inner.first, "1.1.first")
    assert_is(load_filters(net, layer="1.1.last"), inner.last, "1.1.last")


def test_a_shared_convolution_used_twice_is_found_once():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    net = nn.Sequential(shared, nn.ReLU(), shared, nn.Conv2d(3, 5, 3))
    assert_is(load_filters(net), shared, "0")


def test_functional_convolutions_count():
    net = Net(lambda net, x: net.last(F.conv2d(x.relu(), net.kernel, stride=3)))
    net.kernel = nn.Parameter(torch.randn(4, 3, 2, 2))
    bank = load_filters(net)
    np.testing.assert_array_equal(bank.weight, net.kernel.detach().double().numpy())
    assert (bank.layer, bank.stride) == ("", (3, 3))


def test_a_functional_convolution_after_finished_submodules_is_not_named_after_them():
    net = Net(lambda net, x: F.conv2d(net.norm(x), net.kernel))
    net.norm, net.kernel = nn.BatchNorm2d(3), nn.Parameter(torch.randn(4, 3, 2, 2))
    assert load_filters(net).layer == ""


@pytest.mark.parametrize("spell", [torch.conv2d, torch.convolution, torch.ops.aten.conv2d.default])
def test_every_spelling_of_a_convolution_counts(spell: Callable[..., torch.Tensor]):
    more = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1) if spell is torch.convolution else ()
    net = Net(lambda net, x: net.last(spell(x, net.first.weight, None, *more)))
    np.testing.assert_array_equal(load_filters(net).weight, weight_of(net.first))


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_forward_that_sets_its_own_grad_mode_is_seen_through(context: Callable[[], Any]):
    net = Net()
    net.run = context()(net.run)
    assert_is(load_filters(net), net.first, "first")


def test_a_caller_in_inference_mode_gets_the_same():
    net = Net()
    with torch.inference_mode():
        bank = load_filters(net)
    assert_is(bank, net.first, "first")


def test_a_forward_that_catches_exceptions_does_not_hide_its_first_convolution():
    def forward(net: Net, x: torch.Tensor) -> torch.Tensor:
        try:
            return net.first(x)
        except Exception:
            return net.last(x)

    net = Net(forward)
    assert_is(load_filters(net), net.first, "first")


def test_a_forward_that_recovers_from_a_failed_submodule_names_the_right_layer():
    def forward(net: Net, x: torch.Tensor) -> torch.Tensor:
        with contextlib.suppress(ValueError):
            net.get_submodule("broken")(x)
        return F.conv2d(x, net.first.weight)

    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("not today")

    net = Net(forward)
    net.broken = Broken()
    assert load_filters(net).layer == ""


# What weight


def test_a_parametrised_weight_is_taken_as_it_acts():
    class Double(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    net = Net()
    plain = weight_of(net.first)
    parametrize.register_parametrization(net.first, "weight", Double())
    for bank in (load_filters(net), load_filters(net, layer="first")):
        np.testing.assert_array_equal(bank.weight, 2 * plain)
        assert bank.layer == "first"


def test_a_weight_computed_in_the_forward_pass_is_taken_as_it_acts():
    """As in networks that standardise or normalise their weights before the convolution."""

    class Standardised(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return F.conv2d(input, self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True))

    conv = Standardised(3, 4, 3, padding=2, padding_mode="reflect")
    for layer in (None, "0"):
        bank = load_filters(nn.Sequential(conv), layer=layer)
        np.testing.assert_allclose(bank.weight.mean(axis=(1, 2, 3)), 0, atol=1e-6)
        assert np.abs(bank.weight - weight_of(conv)).max() > 1e-4


def test_of_a_named_layer_that_does_not_run_alone_the_stored_weight_is_taken():
    class Other(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            first, _ = input
            return super().forward(first)

    net = nn.Sequential(Other(3, 4, 3))  # takes pairs
    np.testing.assert_array_equal(load_filters(net, layer="0").weight, weight_of(net[0]))


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_normalised_weights_are_read_without_being_changed(norm: Callable):
    net = Net()
    norm(net.first)
    before = copy.deepcopy(net.state_dict())
    bank = load_filters(net)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} has changed"
    net.eval()
    np.testing.assert_array_equal(bank.weight, weight_of(net.first))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_precision_is_upcast_exactly(dtype: torch.dtype):
    net = Net().to(dtype)
    bank = load_filters(net)
    assert_is(bank, net.first, "first")
    back = torch.from_numpy(bank.weight.copy()).to(dtype)
    assert torch.equal(back, net.first.weight.detach())


@pytest.mark.parametrize(
    ("conv", "shape", "attributes"),
    [
        (nn.Conv2d(6, 4, 3, groups=2), (4, 3, 3, 3), {"groups": 2}),
        (nn.Conv2d(3, 6, 5, groups=3), (6, 1, 5, 5), {"groups": 3}),
        (nn.Conv2d(3, 4, 3, dilation=(2, 3)), (4, 3, 3, 3), {"dilation": (2, 3)}),
        (nn.Conv2d(1, 4, (2, 7)), (4, 1, 2, 7), {}),
        (nn.Conv2d(3, 4, 4, stride=4, padding=3), (4, 3, 4, 4), {"stride": (4, 4), "padding": (3, 3)}),
        (nn.Conv2d(10, 4, 1), (4, 10, 1, 1), {}),
    ],
    ids=["grouped", "depthwise", "dilated", "gray", "strided", "ten channels"],
)
def test_convolutions_of_every_kind(conv: nn.Conv2d, shape: tuple, attributes: dict):
    for bank in (load_filters(nn.Sequential(nn.ReLU(), conv)), load_filters(nn.Sequential(conv), layer="0")):
        np.testing.assert_array_equal(bank.weight, weight_of(conv))
        assert bank.weight.shape == shape
        for name in ("stride", "padding", "dilation", "groups"):
            usual = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}[name]
            assert getattr(bank, name) == attributes.get(name, usual)


@pytest.mark.parametrize(
    "conv",
    [nn.Conv2d(3, 4, (3, 5), padding="same"), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")],
    ids=["same", "reflect"],
)
def test_padding_is_the_same_whether_the_layer_is_found_or_named(conv: nn.Conv2d):
    net = nn.Sequential(conv)
    padding = ((conv.kernel_size[0] - 1) // 2, (conv.kernel_size[1] - 1) // 2)
    assert load_filters(net, layer="0").padding == padding
    assert load_filters(net).padding == padding


# Wrapped networks


def test_data_parallel_on_the_cpu():
    net = nn.DataParallel(Net())
    bank = load_filters(net)
    assert_is(bank, net.module.first, "module.first")
    assert_is(load_filters(net, layer=bank.layer), net.module.first, bank.layer)


def test_a_compiled_network_is_found_by_the_names_of_the_plain_one():
    net = Net()
    compiled = torch.compile(net, backend="eager")
    bank = load_filters(compiled)
    assert_is(bank, net.first, "first")
    assert_is(load_filters(compiled, layer=bank.layer), net.first, bank.layer)
    assert_is(load_filters(nn.Sequential(cast(nn.Module, compiled))), net.first, "0.first")


def test_an_fx_graph_module():
    net = torch.fx.symbolic_trace(nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3)))
    assert_is(load_filters(net), net.get_submodule("1"), "1")


def test_an_exported_program_s_module():
    net = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3)).eval()
    exported = torch.export.export(net, (torch.zeros(1, 3, 8, 8),)).module()
    np.testing.assert_array_equal(load_filters(exported, example=torch.zeros(1, 3, 8, 8)).weight, weight_of(net[1]))


# Nothing left behind


def state(net: nn.Module) -> tuple:
    modules = list(net.modules())
    hooks = [(len(m._forward_pre_hooks), len(m._forward_hooks), len(m._forward_hooks_always_called)) for m in modules]
    return [m.training for m in modules], hooks, [p.requires_grad for p in net.parameters()]


@pytest.mark.parametrize("outcome", ["found", "fails", "none"])
def test_modes_hooks_statistics_and_gradients_are_left_as_they_were(outcome: str):
    def forward(net: Any, x: torch.Tensor) -> torch.Tensor:
        x = net.norm(x)
        if outcome == "fails":
            raise ValueError("fails")
        return x if outcome == "none" else net.first(net.dropout(x))

    net: Any = Net(forward)
    net.norm, net.dropout = nn.BatchNorm2d(3), nn.Dropout()
    net.train()
    net.norm.eval()  # one that its owner keeps frozen
    net.last.weight.requires_grad_(False)
    net.first.register_forward_hook(lambda *args: None)
    before, parameters = state(net), copy.deepcopy(net.state_dict())
    rng = torch.get_rng_state()
    if outcome == "found":
        load_filters(net)
    else:
        with pytest.raises(SourceError):
            load_filters(net)
    assert state(net) == before
    for name, value in net.state_dict().items():
        assert torch.equal(value, parameters[name]), f"{name} has changed"
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.is_grad_enabled()


def test_the_random_state_is_left_as_it_was_by_a_network_that_adds_noise():
    net = Net(lambda net, x: net.first(x + torch.randn_like(x)))
    before = torch.get_rng_state()
    load_filters(net)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_statistics_do_not_move_in_training_mode():
    norm = nn.BatchNorm2d(3)
    net = nn.Sequential(norm, nn.Conv2d(3, 4, 3)).train()
    load_filters(net)
    assert net.training
    assert norm.training
    assert norm.num_batches_tracked == 0
    assert norm.running_mean is not None
    assert torch.equal(norm.running_mean, torch.zeros(3))


def test_the_bank_does_not_share_the_weights_memory():
    net = Net().double()
    bank = load_filters(net)
    before = bank.weight.copy()
    with torch.no_grad():
        net.first.weight.add_(1)
    np.testing.assert_array_equal(bank.weight, before)


# Inputs


@pytest.mark.parametrize("size", [28, 32, 64, 224])
def test_networks_that_take_only_their_own_size(size: int):
    class Flat(nn.Module):
        """Something before the convolution knows the size."""

        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.zeros(1, 3, size, size))
            self.conv = nn.Conv2d(3, 8, 16, stride=16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[-2:] != self.position.shape[-2:]:
                raise AssertionError(f"Input size {tuple(x.shape[-2:])} does not match")
            return self.conv(x + self.position)

    net = Flat()
    assert_is(load_filters(net), net.conv, "conv")


def test_a_size_that_fits_only_after_the_convolution_does_not_matter():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(7, 10))
    assert_is(load_filters(net), net[0], "0")


def test_an_unusual_input_is_given_as_an_example():
    def forward(net: Any, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1:] != (5, 17, 19):
            raise ValueError(f"want 5 x 17 x 19, not {tuple(x.shape[1:])}")
        return net.first(x[:, :3])

    net = Net(forward)
    with pytest.raises(SourceError, match="want 5 x 17 x 19, not"):
        load_filters(net)
    assert_is(load_filters(net, example=torch.zeros(2, 5, 17, 19)), net.first, "first")
    with pytest.raises(SourceError, match=r"shape \(1, 5, 17, 18\).*want 5 x 17 x 19, not \(5, 17, 18\)"):
        load_filters(net, example=torch.zeros(1, 5, 17, 18))


class Troubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        raise ValueError("the real cause")


def test_the_reported_failure_is_on_an_input_with_the_networks_own_channels():
    """The last input tried has one channel; what it says about that would lead a reader astray."""
    with pytest.raises(SourceError, match="the real cause"):
        load_filters(Troubled())


# Refusals that list the candidates


class TwoArguments(Net):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return self.first(x) + y


def test_a_forward_of_two_arguments_is_refused_and_its_layers_are_listed():
    with pytest.raises(SourceError) as caught:
        load_filters(TwoArguments())
    message = str(caught.value)
    assert "TwoArguments" in message
    assert "missing 1 required positional argument: 'y'" in message
    assert "last Conv2d 2x4x1x1; first Conv2d 4x3x3x5" in message
    assert "layer=NAME" in message
    net = TwoArguments()
    assert_is(load_filters(net, layer="first"), net.first, "first")


@pytest.mark.parametrize(
    ("net", "parts"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), ["executes no convolution", "1 Linear 10x3072"]),
        (nn.Sequential(nn.ReLU()), ["executes no convolution", "no convolutions or linear layers"]),
        (nn.ModuleList([nn.Conv2d(3, 4, 3)]), ["forward fails", "0 Conv2d 4x3x3x3"]),
        (nn.Sequential(nn.Embedding(9, 4), nn.Conv1d(4, 2, 3)), ["forward fails", "1 Conv1d 2x4x3"]),
        (nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 2, 3)), ["1, is 1-dimensional", "1 Conv1d 2x3x3"]),
        (nn.Conv3d(3, 2, 3), ["Conv3d", "(itself) Conv3d 2x3x3x3x3"]),
        (nn.Sequential(nn.ConvTranspose2d(3, 2, 3), nn.Conv2d(2, 4, 3)), ["0, is a transposed", "1 Conv2d 4x2x3x3"]),
        (nn.Sequential(*[nn.Linear(32, 32) for _ in range(11)]), ["7 Linear 32x32; and 3 more"]),
    ],
)
def test_networks_without_a_first_two_dimensional_convolution_are_refused(net: nn.Module, parts: list[str]):
    with pytest.raises(SourceError) as caught:
        load_filters(net)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("layer", ["nowhere", "", "norm", "first.weight", 0])
def test_a_layer_that_is_no_convolution_is_refused(layer: Any):
    net = Net()
    net.norm = nn.BatchNorm2d(3)
    with pytest.raises(InputError, match=rf"layer is {layer!r}; expected .*last Conv2d 2x4x1x1; first Conv2d 4x3x3x5"):
        load_filters(net, layer=layer)


@pytest.mark.parametrize("layer", [None, "first"])
def test_weights_of_a_diverged_training_are_refused(layer: str | None):
    net = Net()
    with torch.no_grad():
        net.first.weight[2, 0, 0, 0] = torch.nan
    with pytest.raises(
        InputError, match="Net first: the weights hold NaN or infinity in 1 of 4 filters, first in filter 2"
    ):
        load_filters(net, layer=layer)


@pytest.mark.parametrize("layer", [None, "first"])
def test_weights_on_the_meta_device_are_refused(layer: str | None):
    with pytest.raises(SourceError, match="meta device"):
        load_filters(Net().to("meta"), layer=layer)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.LazyConv2d(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


@pytest.mark.parametrize("layer", [None, "conv"])
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_layer_without_weights_is_refused_and_not_made_up(layer: str | None):
    net = Lazy()
    with pytest.raises((SourceError, InputError)):
        load_filters(net, layer=layer)
    assert isinstance(net.conv.weight, nn.parameter.UninitializedParameter), "the user's network was changed"


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_candidates_can_be_listed():
    with pytest.raises(InputError, match="nowhere"):
        load_filters(Lazy(), layer="nowhere")


def test_complex_weights_are_refused_rather_than_halved():
    with pytest.raises((SourceError, InputError)):
        load_filters(nn.Sequential(nn.Conv2d(3, 4, 3, dtype=torch.complex64)), layer="0")


def test_a_class_instead_of_an_object_is_refused():
    with pytest.raises(InputError, match="source is of type type"):
        load_filters(Net)
