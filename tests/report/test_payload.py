"""The page's data: numbers survive, pictures nearly, and no name can leave its JSON."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

import firstlight as fl
from firstlight.inspection.network_view import NetworkView, Snapshot
from firstlight.patches.shipped import shipped_moments
from firstlight.profile import EnergyProfile
from firstlight.report.payload import (
    FILTER_BYTES,
    LEAST_FILTERS,
    filters_shown,
    numbers,
    packed,
    page_data,
    script_text,
)

BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))


def view(energy: np.ndarray, name: str = "net") -> NetworkView:
    return NetworkView(name, BASIS, [Snapshot.of(EnergyProfile(energy, 1), BASIS)], np.ones((1, 3, 3, 3)))


def unpacked(found: dict) -> np.ndarray:
    """As the page does it."""
    whole = np.frombuffer(base64.b64decode(found["weights"]), dtype="<i2").reshape(len(found["peaks"]), -1)
    return whole / 32767 * np.array(found["peaks"])[:, None]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(-200, 200))
def test_pictures_come_back_to_a_part_in_60000_of_their_largest_weight(seed, count, exponent):
    weights = np.random.default_rng(seed).normal(size=(count, 3, 3, 3)) * 10**exponent
    found = unpacked(packed(weights))
    peaks = np.abs(weights).reshape(count, -1).max(axis=1, keepdims=True)
    assert (np.abs(found - weights.reshape(count, -1)) <= 2.5e-5 * peaks).all()


def test_pictures_without_weights_or_numbers_are_none():
    weights = np.array([[0.0, 0.0], [np.nan, 1.0], [2.0, -2.0]])
    found = packed(weights)
    assert found["peaks"] == [0.0, None, 2.0]
    whole = np.frombuffer(base64.b64decode(found["weights"]), dtype="<i2")
    assert whole.tolist() == [0, 0, 0, 32767, 32767, -32767]


@given(st.lists(st.floats()))
def test_numbers_keep_every_digit_but_those_that_json_does_not_know(values):
    found = json.loads(json.dumps(numbers(values), allow_nan=False))
    assert found == [value if np.isfinite(value) else None for value in values]


@given(
    st.text() | st.sampled_from(["</script>", "<!--", "]]>", "\u2028", "\u202e", "<img src=x onerror=alert(1)>", '"\\'])
)
def test_no_text_ends_the_script_and_every_text_comes_back(text):
    found = script_text({"name": text})
    assert not set("<>&\u2028\u2029") & set(found)
    assert json.loads(found) == {"name": text}


def test_profiles_and_fits_keep_every_digit():
    energy = fl.linear_cnn_profile(BASIS.variance, 0.3) * np.linspace(1, 1.1, 27)
    found = json.loads(script_text(page_data([view(energy)])))
    (network,), (basis,) = found["networks"], found["bases"]
    fit = fl.fit_formula(energy, BASIS)
    assert network["snapshots"][0]["energy"] == energy.tolist()
    assert network["snapshots"][0]["fit"]["tau"] == fit.tau
    assert network["snapshots"][0]["fit"]["correlation"] == fit.correlation
    assert basis["variance"] == BASIS.variance.tolist()
    np.testing.assert_allclose(unpacked(basis["components"]), BASIS.components, atol=2e-5)
    low, high = network["range"]
    assert 10**low < fit.tau < 10**high


def test_whitening_which_has_no_finite_time_is_none():
    found = page_data([view(1 / np.sqrt(BASIS.variance))])["networks"][0]["snapshots"][0]["fit"]
    assert (found["tau"], found["bound"], found["range"][1]) == (None, "late", None)


@pytest.mark.parametrize("energy", [np.zeros(27), np.full(27, np.nan)])
def test_what_cannot_be_fitted_is_said(energy):
    (snapshot,) = page_data([view(energy)])["networks"][0]["snapshots"]
    assert snapshot["fit"] is None
    assert snapshot["unfitted"]
    assert script_text(page_data([view(energy)]))  # NaN would be refused


def test_networks_share_their_basis():
    found = page_data([view(np.arange(27.0)), view(np.ones(27))], ["a", "b"], comparison={"x": 1})
    assert len(found["bases"]) == 1
    assert [(network["basis"], network["group"]) for network in found["networks"]] == [(0, "a"), (0, "b")]
    assert found["comparison"] == {"x": 1}


@given(st.lists(st.tuples(st.integers(1, 1024), st.integers(1, 768)), min_size=1, max_size=40))
def test_no_more_filters_than_the_page_can_hold(sizes):
    weights = [np.broadcast_to(np.float64(0), size) for size in sizes]
    limit = filters_shown(weights)
    total = sum(min(count, limit) * size for count, size in sizes) * 8 / 3
    most = max(count for count, _ in sizes)
    assert total <= FILTER_BYTES or limit == min(LEAST_FILTERS, most)
    if sum(count * size for count, size in sizes) * 8 / 3 <= FILTER_BYTES:
        assert limit == most
