import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from firstlight.errors import InputError
from firstlight.filters import FilterBank
from firstlight.patches import PatchBasis, PatchMoments
from firstlight.profile import EnergyProfile, correlation, energy_profile

seeds = st.integers(0, 2**32 - 1)


def basis_of(components: np.ndarray, channels: int = 1) -> PatchBasis:
    size = len(components)
    return PatchBasis(
        components=components,
        variance=np.arange(size, 0, -1.0),
        count=100,
        kernel_size=round((size / channels) ** 0.5),
        channels=channels,
        stride=1,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        center=False,
    )


BASIS = PatchMoments().update(np.random.default_rng(0).integers(0, 256, (20, 3, 9, 9), dtype=np.uint8)).basis()
WEIGHT = np.random.default_rng(1).normal(size=(8, 3, 3, 3))


# Eq. 1


def test_a_hand_computed_profile_of_two_components():
    """Two channels, kernel 1; u_1 = (3, 4)/5, u_2 = (4, -3)/5; w_1 = (5, 0), w_2 = (1, 2)."""
    basis = basis_of(np.array([[0.6, 0.8], [0.8, -0.6]]), channels=2)
    weight = np.array([[5.0, 0.0], [1.0, 2.0]]).reshape(2, 2, 1, 1)
    profile = energy_profile(weight, basis)
    # w.u_1 = 3 and 2.2; w.u_2 = 4 and -0.4
    expected = [np.sqrt((9 + 4.84) / 2), np.sqrt((16 + 0.16) / 2)]
    np.testing.assert_allclose(profile.energy, expected, rtol=1e-15)
    assert profile.peak == 1
    assert profile.filters == 2
    np.testing.assert_allclose(profile.normalized, [expected[0] / expected[1], 1], rtol=1e-15)
    assert profile.total == pytest.approx(np.sqrt((25 + 5) / 2), rel=1e-15)


def test_each_component_as_a_filter_has_the_energy_of_one_in_d():
    profile = energy_profile(BASIS.images, BASIS)
    np.testing.assert_allclose(profile.energy, 1 / np.sqrt(27), rtol=1e-13)
    only = energy_profile(BASIS.images[4:5] * -7, BASIS)
    np.testing.assert_allclose(only.energy, 7 * np.eye(27)[4], atol=1e-14)
    assert only.peak == 4


@settings(max_examples=50)
@given(seeds, st.integers(1, 40))
def test_total_energy_is_the_root_mean_square_norm_of_the_filters(seed: int, filters: int):
    weight = np.random.default_rng(seed).normal(size=(filters, 3, 3, 3))
    profile = energy_profile(weight, BASIS)
    assert profile.total == pytest.approx(np.sqrt(np.mean(np.sum(weight**2, axis=(1, 2, 3)))), rel=1e-13)
    brute = [np.sqrt(np.mean([np.sum(w * u) ** 2 for w in weight])) for u in BASIS.images]
    # A filter may be all but orthogonal to a component: what is left of its products is then rounding.
    np.testing.assert_allclose(profile.energy, brute, rtol=1e-12, atol=1e-14 * profile.total)


@settings(max_examples=50)
@given(seed=seeds, scale=st.floats(1e-3, 1e3), sign=st.sampled_from([-1, 1]))
def test_correlation_ignores_scaling_permutation_and_orthogonal_mixing_of_filters(seed: int, scale: float, sign: int):
    rng = np.random.default_rng(seed)
    weight, other = rng.normal(size=(8, 3, 3, 3)), energy_profile(rng.normal(size=(5, 3, 3, 3)), BASIS)
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    plain = energy_profile(weight, BASIS)
    mixed = np.tensordot(rotation, weight, axes=1)[rng.permutation(8)] * scale * sign
    changed = energy_profile(mixed, BASIS)
    np.testing.assert_allclose(changed.energy, scale * plain.energy, rtol=1e-10)
    assert plain.correlation(changed) == pytest.approx(1, abs=1e-12)
    assert changed.correlation(other) == pytest.approx(plain.correlation(other), abs=1e-11)
    repeated = energy_profile(np.concatenate([weight, weight]), BASIS)  # a width that says nothing new
    np.testing.assert_allclose(repeated.energy, plain.energy, rtol=1e-12)


def test_initial_filters_are_subtracted():
    rng = np.random.default_rng(2)
    start = rng.normal(size=WEIGHT.shape)
    change = energy_profile(WEIGHT, BASIS, initial=start)
    np.testing.assert_array_equal(change.energy, energy_profile(WEIGHT - start, BASIS).energy)
    assert change.change
    assert not energy_profile(WEIGHT, BASIS).change
    of_banks = energy_profile(FilterBank(WEIGHT), BASIS, initial=FilterBank(start))
    np.testing.assert_array_equal(of_banks.energy, change.energy)


def test_a_layer_that_has_not_moved_has_no_profile_of_change():
    profile = energy_profile(WEIGHT, BASIS, initial=WEIGHT)
    assert (profile.energy == 0).all()
    assert (profile.normalized == 0).all()
    assert profile.total == 0
    with pytest.raises(InputError, match=r"constant .*has not moved since its initialisation"):
        profile.correlation(energy_profile(WEIGHT, BASIS))


@pytest.mark.parametrize("scale", [1e-200, 1e200, 2.0**-1000, 2.0**1000])
def test_tiny_and_huge_weights_have_the_same_profile(scale: float):
    plain, scaled = energy_profile(WEIGHT, BASIS), energy_profile(WEIGHT * scale, BASIS)
    np.testing.assert_allclose(scaled.energy, plain.energy * scale, rtol=1e-13)
    np.testing.assert_allclose(scaled.normalized, plain.normalized, rtol=1e-13)
    assert scaled.correlation(plain) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_total_and_repr_of_tiny_and_huge_weights_neither_vanish_nor_overflow(scale: float):
    scaled = energy_profile(WEIGHT * scale, BASIS)
    assert scaled.total == pytest.approx(energy_profile(WEIGHT, BASIS).total * scale, rel=1e-13, abs=0)
    assert f"total energy {scaled.total:.4g}" in repr(scaled)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 1, 3, 3), r"filters are 1 x 3 x 3; expected 3 x 3 x 3.*channels=1"),
        ((8, 3, 5, 5), "filters are 3 x 5 x 5; expected 3 x 3 x 3"),
        ((8, 3, 3, 1), "filters are 3 x 3 x 1; expected 3 x 3 x 3"),
        ((8, 27, 1, 1), "filters are 27 x 1 x 1; expected 3 x 3 x 3"),  # as many numbers, but other patches
        ((8, 27), r"shape \(8, 27\); expected \(K, C, kh, kw\)"),
        ((0, 3, 3, 3), r"shape \(0, 3, 3, 3\); expected \(K, C, kh, kw\), not empty"),
    ],
)
def test_filters_of_another_shape_than_the_patches_are_refused(shape: tuple, message: str):
    with pytest.raises(InputError, match=message):
        energy_profile(np.ones(shape), BASIS)


@pytest.mark.parametrize("per_group", [1, 4])
def test_filters_of_a_grouped_layer_count_as_zero_where_they_see_nothing(per_group: int):
    weight = np.random.default_rng(0).normal(size=(3 * per_group, 1, 3, 3))
    full = np.zeros((3 * per_group, 3, 3, 3))
    for number in range(3 * per_group):
        full[number, number // per_group] = weight[number, 0]
    grouped = energy_profile(FilterBank(weight, groups=3), BASIS)
    np.testing.assert_array_equal(grouped.energy, energy_profile(full, BASIS).energy)
    torch = pytest.importorskip("torch")
    image = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    same = torch.nn.functional.conv2d(image, torch.from_numpy(weight), groups=3)
    torch.testing.assert_close(torch.nn.functional.conv2d(image, torch.from_numpy(full)), same)


def test_groups_that_do_not_divide_the_filters_are_refused():
    with pytest.raises(InputError, match="4 filters in 3 groups"):
        energy_profile(FilterBank(np.ones((4, 1, 3, 3)), groups=3), BASIS)


def test_a_dilated_layer_is_refused_as_it_does_not_see_these_patches():
    with pytest.raises(InputError, match="dilat"):
        energy_profile(FilterBank(WEIGHT, dilation=(2, 2)), BASIS)


def test_a_dilated_layer_is_measured_in_patches_of_its_dilation_only():
    images = np.random.default_rng(2).integers(0, 256, (4, 3, 20, 20), dtype=np.uint8)
    apart = PatchMoments(3, 3, dilation=2).update(images).basis()
    dilated = FilterBank(WEIGHT, dilation=(2, 2))
    # The filters' responses to the image, dilated, have the energy that the profile and the variance say.
    profile = energy_profile(dilated, apart)
    patches = np.lib.stride_tricks.sliding_window_view(images / 255, (5, 5), axis=(2, 3))[..., ::2, ::2]
    responses = np.einsum("ncyxij,kcij->nyxk", patches, WEIGHT)
    np.testing.assert_allclose(profile.energy**2 @ apart.variance, np.mean(responses**2), rtol=1e-10)
    for other in ((1, 1), (1, 2), (2, 1), (3, 3)):
        with pytest.raises(InputError, match=rf"dilation \({other[0]}, {other[1]}\); expected \(2, 2\)"):
            energy_profile(FilterBank(WEIGHT, dilation=other), apart)


def test_initial_filters_of_another_shape_are_refused_rather_than_broadcast():
    with pytest.raises(InputError, match=r"initial filters are 1 x 3 x 3 x 3; expected 8 x 3 x 3 x 3"):
        energy_profile(WEIGHT, BASIS, initial=WEIGHT[:1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float):
    weight = WEIGHT.copy()
    weight[5, 0, 0, 0] = value
    with pytest.raises(InputError, match="NaN or infinity in 1 of 8 filters, first in filter 5"):
        energy_profile(weight, BASIS)


# Correlation


def test_a_hand_computed_correlation():
    # Deviations (-1, 0, 1) and (-1, 1, 0): 1 / (sqrt 2 sqrt 2).
    assert correlation(np.array([1, 2, 3]), np.array([0, 2, 1])) == pytest.approx(0.5, abs=1e-15)


@settings(max_examples=100)
@given(
    seed=seeds,
    size=st.integers(2, 60),
    log_a=st.floats(-300, 300),
    log_b=st.floats(-300, 300),
    shift=st.floats(-100, 100),
)
def test_correlation_is_pearsons_at_any_scale(seed: int, size: int, log_a: float, log_b: float, shift: float):
    rng = np.random.default_rng(seed)
    a, b = rng.random(size) + shift, rng.random(size)
    expected = np.corrcoef(a, b)[0, 1]
    assert correlation(a * 10**log_a, b * 10**log_b) == pytest.approx(expected, abs=1e-11)
    assert correlation(b, a) == correlation(a, b)
    assert correlation(a, -b) == pytest.approx(-expected, abs=1e-11)
    assert -1 <= correlation(a, a) <= 1


def test_the_smallest_floats_there_are_still_correlate():
    assert correlation(np.array([1, 2, 3]) * 5e-324, np.array([0.0, 2, 1])) == pytest.approx(0.5, abs=1e-15)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 2, 3], [1, 2], r"shapes \(3,\) and \(2,\)"),
        ([1], [2], r"shapes \(1,\) and \(1,\)"),
        ([], [], r"shapes \(0,\)"),
        ([[1, 2], [3, 4]], [[1, 2], [3, 5]], r"shapes \(2, 2\)"),
        ([1, 2, np.nan], [1, 2, 3], "NaN or infinity"),
        ([1, 2, 3], [1, 2, np.inf], "NaN or infinity"),
        ([5, 5, 5], [1, 2, 3], r"constant \(every energy is 5\)"),
        ([0.1 + 0.2, 0.3, 0.3], [1, 2, 3], "constant"),  # but for rounding
        ([1, 2, 3], [0, 0, 0], r"constant \(every energy is 0\)"),
    ],
)
def test_profiles_without_a_correlation_are_refused(a: list, b: list, message: str):
    with pytest.raises(InputError, match=message):
        correlation(np.array(a), np.array(b))


def test_a_profile_correlates_with_a_bare_array():
    profile = energy_profile(WEIGHT, BASIS)
    other = energy_profile(WEIGHT[:3], BASIS)
    assert profile.correlation(other.energy) == profile.correlation(other) == other.correlation(profile)


# What it shows of itself


def test_the_repr_says_what_was_measured():
    bank = FilterBank(WEIGHT, layer="conv1", source="ResNet")
    profile = energy_profile(bank, BASIS, initial=np.zeros_like(WEIGHT))
    text = f"change of ResNet conv1: 8 filters, 27 components, peak at component {profile.peak + 1}, total energy "
    assert text in repr(profile)
    assert "(filters: 8 filters" in repr(energy_profile(WEIGHT, BASIS))


def test_energies_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        energy_profile(WEIGHT, BASIS).energy[0] = 1


def test_to_dict_is_strict_json():
    profile = energy_profile(FilterBank(WEIGHT, layer="conv1", source="ResNet"), BASIS)
    data = json.loads(json.dumps(profile.to_dict(), allow_nan=False))
    assert data == {
        "source": "ResNet",
        "layer": "conv1",
        "filters": 8,
        "change": False,
        "energy": profile.energy.tolist(),
        "peak": profile.peak,
    }


def test_to_frame_has_a_row_a_component():
    profile = energy_profile(WEIGHT, BASIS)
    frame = profile.to_frame()
    assert frame.columns.tolist() == ["component", "energy", "normalized"]
    assert frame["component"].tolist() == list(range(1, 28))
    np.testing.assert_array_equal(frame["energy"], profile.energy)
    np.testing.assert_array_equal(frame["normalized"], profile.normalized)
    assert profile.normalized.max() == 1


def test_plot_draws_on_new_axes_and_on_given_ones():
    profile = energy_profile(WEIGHT, BASIS)
    fig, ax = profile.plot()
    assert ax.get_figure() is fig
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), profile.normalized)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(1, 28))
    assert profile.plot(ax) == (fig, ax)
    assert profile.plot(ax=ax)[1] is ax
    assert len(ax.lines) == 3
    fig.savefig(io.BytesIO(), format="svg")


def test_plot_on_axes_of_a_subfigure_returns_the_whole_figure():
    from matplotlib.figure import Figure

    fig = Figure()
    ax = fig.add_subfigure(fig.add_gridspec(1, 2)[1]).subplots()
    assert energy_profile(WEIGHT, BASIS).plot(ax) == (fig, ax)


def test_a_profile_without_energy_can_be_plotted():
    fig, _ = energy_profile(WEIGHT, BASIS, initial=WEIGHT).plot()
    fig.savefig(io.BytesIO(), format="svg")


def test_plotting_needs_neither_pyplot_nor_torch():
    code = (
        "import sys, io, numpy as np; from firstlight.profile import EnergyProfile; "
        "fig, ax = EnergyProfile(np.array([1.0, 2.0]), filters=3).plot(); fig.savefig(io.BytesIO(), format='png'); "
        "print([name for name in ('matplotlib.pyplot', 'torch', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("value", [[1.0, 2.0], np.array([3.0, 1.0])])
def test_a_profile_made_by_hand_correlates_too(value: Any):
    profile = EnergyProfile(np.array([1.0, 2.0]), filters=1)
    assert profile.correlation(np.asarray(value)) == pytest.approx(1 if value[0] < value[1] else -1, abs=1e-15)
