"""Which tensor of a bare state dict is the first layer: on real layouts, however wrapped, and when nothing fits.

``layouts.json`` holds names and shapes as they stand in the state dicts of real networks: the first ones, those around
the first layer, and of every number of channels two more. Its truths come from running the networks: the convolution
that is executed first, and the batch normalisation on its output; for timm's also from its own ``first_conv``. Where
several layers see the image, "layer" is the one of more than a pixel, or of the network itself. What was not run was
written down from the project's own code. "layer" is null where there is no first layer over images.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from firstlight.errors import InputError, SourceError
from firstlight.filters import FilterBank
from firstlight.filters.choice import candidates
from firstlight.filters.choice.candidates import find_candidates, likely_first
from firstlight.filters.choice.first_layer import bank_of
from firstlight.filters.choice.tensors import TensorEntry, TensorFile

LAYOUTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "layouts.json").read_text())
CHOSEN = sorted(name for name, layout in LAYOUTS.items() if layout["layer"])
REFUSED = sorted(set(LAYOUTS) - set(CHOSEN))
WRAPPINGS = ["", "state_dict.", "model.", "module.", "_orig_mod.", "state_dict.model.", "state_dict.module.", "net."]
WRAPPINGS += ["_fsdp_wrapped_module.", "state_dict._orig_mod.module.", "0.model.", "params.", "teacher.", "ema."]
Shapes = dict[str, tuple[int, ...]]


def shapes_of(name: str) -> Shapes:
    return {tensor: tuple(shape) for tensor, shape in LAYOUTS[name]["tensors"]}


def one_eye(name: str) -> bool:
    """Whether a single layer of a network sees the image."""
    return sum(len(shape) == 4 and shape[1] == 3 for shape in shapes_of(name).values()) == 1


def file_of(shapes: Shapes, ordered: bool = True, value: float = 1.0) -> TensorFile:
    entries = [
        TensorEntry(name, shape, "float32", lambda shape=shape: np.full(shape, value)) for name, shape in shapes.items()
    ]
    return TensorFile("net.pt", tuple(entries if ordered else sorted(entries, key=lambda one: one.name)), ordered)


def chosen(shapes: Shapes, ordered: bool = True) -> str:
    return bank_of(file_of(shapes, ordered)).layer


def numbers(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape)


def with_numbers(**arrays: np.ndarray) -> TensorFile:
    entries = (TensorEntry(name, array.shape, "float32", lambda a=array: a) for name, array in arrays.items())
    return TensorFile("net.pt", tuple(entries), ordered=True)


RESNET = shapes_of("timm/resnet50")


def wrapped(prefix: str, shapes: Shapes = RESNET) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


# Real layouts


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("name", CHOSEN)
def test_the_first_layer_of_real_networks_is_chosen(name: str, ordered: bool):
    bank = bank_of(file_of(shapes_of(name), ordered))
    assert bank.layer == LAYOUTS[name]["layer"]
    assert bank.batch_norm == LAYOUTS[name]["batch_norm"]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_first_layer_over_images_is_refused(name: str, ordered: bool):
    with pytest.raises(SourceError, match=r"^net.pt: no tensor looks like the first layer") as caught:
        chosen(shapes_of(name), ordered)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("channels", [1, 4, 13])
@pytest.mark.parametrize(
    "name", [name for name in CHOSEN if name.startswith(("timm", "torchvision")) and one_eye(name)]
)
def test_inputs_of_other_channels_are_told_from_depthwise_and_grouped_layers(name: str, channels: int, ordered: bool):
    layer = LAYOUTS[name]["layer"]
    shapes = shapes_of(name)
    filters, _, *kernel = shapes[f"{layer}.weight"]
    assert chosen(shapes | {f"{layer}.weight": (filters, channels, *kernel)}, ordered) == layer


# What the choice does not depend on


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(CHOSEN), prefix=st.sampled_from(WRAPPINGS), ordered=st.booleans())
def test_wrapping_does_not_change_the_choice(name: str, prefix: str, ordered: bool):
    plain, wrap = (bank_of(file_of(shapes, ordered)) for shapes in (shapes_of(name), wrapped(prefix, shapes_of(name))))
    assert wrap.layer == prefix + plain.layer
    assert wrap.batch_norm == (plain.batch_norm and prefix + plain.batch_norm)
    # Where all are a helper's or averaged, which of them are that by their own names no longer decides what is first.
    same = sorted if prefix in ("teacher.", "ema.") else list
    assert same(wrap.alternatives) == same(prefix + other for other in plain.alternatives)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(CHOSEN), random=st.randoms(use_true_random=False))
def test_the_order_of_a_file_without_one_does_not_matter(name: str, random: Any):
    shapes = shapes_of(name)
    mixed = list(shapes.items())
    random.shuffle(mixed)
    entries = file_of(dict(mixed)).entries
    one, other = bank_of(TensorFile("net.pt", entries, ordered=False)), bank_of(file_of(shapes, ordered=False))
    assert (one.layer, one.batch_norm, one.alternatives) == (other.layer, other.batch_norm, other.alternatives)


@given(name=st.sampled_from(CHOSEN), value=st.floats(-1e6, 1e6))
@settings(max_examples=20, deadline=None)
def test_the_values_do_not_matter(name: str, value: float):
    assert bank_of(file_of(shapes_of(name), value=value)).layer == LAYOUTS[name]["layer"]


@given(
    shapes=st.dictionaries(
        st.text("abconv01./_weightsm", min_size=1, max_size=12),
        st.lists(st.integers(0, 5), max_size=6).map(tuple),
        max_size=8,
    ),
    ordered=st.booleans(),
    layer=st.none() | st.text("abconv01./", max_size=4),
)
def test_any_names_and_shapes_give_a_bank_or_a_refusal_in_one_line(shapes: Shapes, ordered: bool, layer: str | None):
    try:
        bank = bank_of(file_of(shapes, ordered), layer)
    except (InputError, SourceError) as error:
        said = str(error)
    else:
        said = repr(bank)
    assert len(said.splitlines()) == 1


def test_only_the_chosen_tensor_and_its_normalisation_are_read():
    def refuse() -> np.ndarray:
        raise AssertionError("read")

    needed = {"conv1.weight", "bn1.weight", "bn1.running_var"}
    entries = [
        entry if entry.name in needed else TensorEntry(entry.name, entry.shape, entry.dtype, refuse)
        for entry in file_of(RESNET).entries
    ]
    assert bank_of(TensorFile("net.pt", tuple(entries), ordered=True)).layer == "conv1"


# What lies beside the network

BESIDE = {
    "an average of its weights": (wrapped("model.") | wrapped("ema."), "model.", "ema."),
    "an average, before it": (wrapped("state_dict_ema.") | wrapped("state_dict."), "state_dict.", "state_dict_ema."),
    "an average, by its model": (wrapped("ema_model.") | wrapped("model."), "model.", "ema_model."),
    "a teacher": (wrapped("teacher.") | wrapped("student."), "student.", "teacher."),
    "a key encoder": (wrapped("module.encoder_k.") | wrapped("module.encoder_q."), "module.encoder_q.", None),
    "a target network": (wrapped("target_network.") | wrapped("online_network."), "online_network.", "target_network."),
    "a discriminator": (wrapped("discriminator.") | wrapped("generator."), "generator.", "discriminator."),
    "a perceptual loss": (wrapped("loss.perceptual_loss.net.") | wrapped("encoder."), "encoder.", None),
    "a twin": (wrapped("backbone1.") | wrapped("backbone2."), "backbone1.", "backbone2."),
}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("what", BESIDE)
def test_the_network_itself_is_preferred_and_the_other_one_listed(what: str, ordered: bool):
    shapes, network, other = BESIDE[what]
    bank = bank_of(file_of(shapes, ordered))
    assert (bank.layer, bank.batch_norm) == (f"{network}conv1", f"{network}bn1")
    assert len(bank.alternatives) == 1
    if other:
        assert bank.alternatives == (f"{other}conv1 64 x 3 x 7 x 7",)


@pytest.mark.parametrize(
    "name",
    [
        "optimizer.state.0.exp_avg",
        "optimizer_states.0.state.0.momentum_buffer",
        "optimizer_G.state.0.square_avg",
        "optim.0",
        "optimizer_state_dict.state.conv1.weight",
        "lora_unet_conv_in.lora_down.weight",
        "conv0.weight_mask",
    ],
)
def test_what_is_no_layer_is_neither_chosen_nor_listed(name: str):
    bank = bank_of(file_of({name: (64, 3, 7, 7)} | wrapped("state_dict.model.")))
    assert (bank.layer, bank.alternatives) == ("state_dict.model.conv1", ())
    with pytest.raises(SourceError, match="no tensor looks like"):
        chosen({name: (64, 3, 7, 7)})


def test_of_averaged_weights_alone_it_is_said():
    bank = bank_of(file_of(wrapped("params_ema.")))
    assert bank.layer == "params_ema.conv1"
    assert any("averaged weights" in note for note in bank.notes)
    assert bank_of(file_of(RESNET)).notes == ()


def test_what_readers_and_quantisers_say_is_handed_on():
    weight = TensorEntry("conv1.weight", (8, 3, 3, 3), "int8", lambda: np.full((8, 3, 3, 3), 6.0))
    scale = TensorEntry("conv1.weight_scale", (1,), "float32", lambda: np.array([0.5]))
    bank = bank_of(TensorFile("net.pt", (weight, scale), ordered=True, notes=("from a shard",)))
    np.testing.assert_array_equal(bank.weight, np.full((8, 3, 3, 3), 3.0))
    assert (bank.dtype, bank.notes, bank.source) == ("quantized int8", ("from a shard",), "net.pt")
    assert (bank.stride, bank.padding) == (None, None)


# A bias tells a transposed convolution


@pytest.mark.parametrize("name", ["first.weight", "0.weight", "model.3.weight"])
def test_a_transposed_convolution_is_no_first_layer(name: str):
    transposed: Shapes = {name: (64, 3, 4, 4), name.replace("weight", "bias"): (3,)}
    with pytest.raises(SourceError, match="no tensor looks like"):
        chosen(transposed)
    assert chosen(transposed | {"z.weight": (32, 3, 3, 3), "z.bias": (32,)}) == "z"
    with pytest.raises(InputError, match=r"by its bias a transposed convolution"):
        bank_of(file_of(transposed), name)


# Layouts of axes


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv1/kernel", (5, 5, 3, 32)),
        ("conv1/kernel:0", (3, 3, 3, 3)),
        ("conv1/kernel", (3, 5, 3, 32)),
        ("params.conv_init.kernel", (7, 7, 1, 64)),
        ("net/~/conv2_d/w", (3, 3, 3, 16)),
        ("arr_0", (5, 5, 3, 16)),
        ("vgg_16/conv1/conv1_1/weights", (3, 3, 3, 64)),
        ("arr_0", (16, 16, 3, 768)),
    ],
)
def test_rows_columns_channels_filters_become_filters_channels_rows_columns(name: str, shape: tuple[int, ...]):
    weight = numbers(*shape)
    bank = bank_of(with_numbers(**{name: weight}))
    np.testing.assert_array_equal(bank.weight, weight.transpose(3, 2, 0, 1))
    assert any("rows, columns, channels, filters" in note for note in bank.notes)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("arr_0", (64, 3, 7, 7)),
        ("conv1.w", (64, 3, 7, 7)),
        ("kernel", (16, 3, 5, 5)),
        ("conv1.weight", (3, 3, 3, 5)),
        ("conv1.weight", (96, 3, 3, 7)),
        ("conv1.weight", (3, 3, 1, 1)),
    ],
)
def test_filters_channels_rows_columns_stay(name: str, shape: tuple[int, ...]):
    weight = numbers(*shape)
    bank = bank_of(with_numbers(**{name: weight}))
    np.testing.assert_array_equal(bank.weight, weight)
    assert bank.notes == ()


def test_a_linear_embedding_of_patches_becomes_filters_that_give_the_same():
    weight = numbers(8, 48)
    bank = bank_of(with_numbers(**{"pos_embedding": numbers(1, 5, 8), "to_patch_embedding.2.weight": weight}))
    image = np.random.default_rng(0).normal(size=(4, 4, 3))  # one patch: rows, columns, channels
    np.testing.assert_allclose(
        np.einsum("kcij,ijc->k", bank.weight, image), weight @ image.reshape(-1), rtol=1e-12, atol=1e-9
    )
    assert (bank.layer, bank.stride, bank.padding) == ("to_patch_embedding.2", (4, 4), (0, 0))
    assert any("flattened as (row, column, channel)" in note for note in bank.notes)


def test_of_other_linear_embeddings_the_order_of_pixels_is_not_guessed():
    with pytest.raises(SourceError, match=r"linear patch embedding embeddings.patch_embedding.weight, 768 x 768"):
        chosen({"embeddings.patch_embedding.weight": (768, 768), "layers.0.dw.weight": (768, 1, 3, 3)})


# A layer by its name


def named(layer: str, shapes: Shapes = RESNET) -> FilterBank:
    return bank_of(file_of(shapes), layer)


@pytest.mark.parametrize("layer", ["layer1.0.conv2", "layer1.0.conv2.weight", "0.conv2", "conv2"])
def test_a_layer_can_be_named_in_full_or_by_the_end_of_its_name(layer: str):
    bank = named(layer)
    assert (bank.layer, bank.batch_norm, bank.alternatives) == ("layer1.0.conv2", "layer1.0.bn2", ())
    assert bank.weight.shape == (64, 64, 3, 3)


@pytest.mark.parametrize("prefix", WRAPPINGS[:10])
def test_containers_around_the_network_may_be_left_out(prefix: str):
    assert named("conv1", wrapped(prefix)).layer == f"{prefix}conv1"
    assert named(f"{prefix}conv1", wrapped(prefix)).layer == f"{prefix}conv1"


def test_a_name_that_fits_several_layers_is_refused_with_them():
    shapes: Shapes = {"a.conv": (8, 3, 3, 3), "b.conv": (8, 8, 3, 3), "conv2": (8, 8, 1, 1)}
    with pytest.raises(InputError, match=r"net.pt has more than once: a.conv 8 x 3 x 3 x 3; b.conv .*give it in full"):
        named("conv", shapes)
    with pytest.raises(InputError, match=r"has more than once: state_dict.conv1 .*; model.conv1 "):
        named("conv1", wrapped("state_dict.") | wrapped("model."))


@pytest.mark.parametrize("layer", ["conv7", "", "onv2", "layer1", "layer1.0", "bn1.weigh"])
def test_a_name_that_is_not_there_is_refused_with_what_is(layer: str):
    with pytest.raises(InputError, match=r"which net.pt does not have; its candidates are conv1 64 x 3 x 7 x 7; "):
        named(layer)


@pytest.mark.parametrize(("layer", "shape"), [("bn1", "64"), ("bn1.running_var", "64"), ("pos", "1 x 5 x 8")])
def test_a_name_of_something_else_is_refused_with_its_shape(layer: str, shape: str):
    with pytest.raises(InputError, match=rf"a tensor of shape {shape}; expected the weight of a convolution"):
        named(layer, {**RESNET, "pos": (1, 5, 8)})


def test_a_three_dimensional_convolution_is_refused_by_name():
    shapes: Shapes = {"stem.weight": (64, 3, 3, 7, 7), "head.weight": (9, 64, 1, 1)}
    with pytest.raises(SourceError, match=r"stem 64 x 3 x 3 x 7 x 7 is a three-dimensional convolution.*--layer"):
        chosen(shapes)
    with pytest.raises(InputError, match=r"stem 64 x 3 x 3 x 7 x 7, a three-dimensional convolution"):
        named("stem", shapes)
    assert named("head", shapes).weight.shape == (9, 64, 1, 1)


# What refusals say


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (
            {"model.embed_tokens.weight": (32000, 4096)},
            "it has 1 tensor, none with four axes, such as model.embed_tokens",
        ),
        ({"conv_layers.0.conv.weight": (512, 1, 10)}, "none with four axes, such as conv_layers.0.conv.weight 512 x 1"),
        ({"head.weight": (9, 64, 1, 1), "rpn.weight": (64, 64, 3, 3)}, "its candidates are head 9 x 64 x 1 x 1; rpn"),
        ({}, "it has 0 tensors, none with four axes$"),
        ({"conv1.weight": (0, 3, 3, 3)}, "none with four axes$"),
    ],
)
def test_a_refusal_says_what_there_is(shapes: Shapes, says: str):
    with pytest.raises(SourceError, match=says):
        chosen(shapes)


def test_a_refusal_of_a_large_network_is_short():
    with pytest.raises(SourceError, match=r"; and 492 more: name the layer with --layer \(layer=\)$") as caught:
        chosen({f"blocks.{i}.conv.weight": (64, 64, 3, 3) for i in range(500)})
    assert len(str(caught.value)) < 600


def test_alternatives_of_a_strange_file_are_few_and_it_takes_no_time():
    bank = bank_of(file_of({f"blocks.{i}.weight": (2, 3, 1, 1) for i in range(20_000)}, ordered=False))
    assert bank.layer == "blocks.0"
    assert len(bank.alternatives) == 16
    assert [int(re.findall(r"\d+", other)[0]) for other in bank.alternatives] == list(range(1, 17))


def test_numbers_of_many_digits_are_compared_as_numbers():
    long = "9" * 6000
    assert chosen({f"a.{long}.weight": (8, 3, 3, 3), "a.10.weight": (8, 3, 3, 3)}, ordered=False) == "a.10"


def test_the_worked_example_holds():
    rows = re.findall(r"^ {4}(\S+) +((?:\d+ x )+\d+) ", candidates.__doc__ or "", re.MULTILINE)
    shapes = {name: tuple(map(int, shape.split(" x "))) for name, shape in rows}
    found = find_candidates(file_of(shapes))
    assert set(shapes) - {one.entry.name for one in found} == {"optimizer.exp_avg"}
    likely = [one.layer for one in likely_first(found, ordered=True)]
    assert likely == ["model.stem", "model.blocks", "ema.stem", "teacher.conv1"]
    assert likely == re.findall(r"^ {4}(\S+) +role", candidates.__doc__ or "", re.MULTILINE)
