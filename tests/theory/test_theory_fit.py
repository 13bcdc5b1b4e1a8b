"""Eq. 3 and composition beside each other: which describes a profile, and what chance gives each."""

from typing import Any

import numpy as np
import pytest

import firstlight as fl
from firstlight.patches.bank_statistics import zeros
from firstlight.theory.explanation import explain_by_eq3
from firstlight.theory.kept_trajectories import TIMES, trajectory_of
from firstlight.theory.resampling import bootstrap, interval

CIFAR = fl.patch_statistics("cifar10")
BANK = zeros(3, 3)
BASIS = CIFAR.basis(BANK)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTLIGHT_CACHE", str(tmp_path))
    return tmp_path


def test_each_theory_finds_itself():
    ours = trajectory_of(BANK, CIFAR)
    fit = fl.fit_theory(ours.energy[20], CIFAR)
    assert fit.better == "composition"
    assert fit.composition is not None
    assert fit.composition.correlation == pytest.approx(1)
    assert fit.composition.t == pytest.approx(TIMES[20])
    assert fit.composition.log_r2 == pytest.approx(1)
    assert fit.composition.p_value < 0.01
    assert fit.interval[0] > 0
    fit = fl.fit_theory(3 * fl.linear_cnn_profile(BASIS, tau=2.0))
    assert fit.better == "eq3"
    assert fit.eq3 is not None
    assert (fit.eq3.t, fit.eq3.correlation) == pytest.approx((2.0, 1.0))
    assert fit.difference < fit.interval[1] < 0


def test_random_filters_are_described_by_neither():
    random = np.random.default_rng(1).standard_normal((64, 3, 3, 3))
    fit = fl.fit_theory(random)
    assert fit.better == "neither"
    assert fit.eq3 is not None
    assert fit.composition is not None
    assert max(fit.eq3.p_value, fit.composition.p_value) > 0.05


def test_the_null_is_what_shuffled_profiles_reach():
    """Of profiles in random order one in twenty is above the 95th percentile."""
    energy = fl.linear_cnn_profile(BASIS, tau=2.0)
    random = np.random.default_rng(3)
    above = []
    for _ in range(40):
        fit = explain_by_eq3(random.permutation(energy), BASIS.variance)
        above.append(fit.correlation > fit.null)
    assert sum(above) <= 6  # with a share of 0.05, more are one case in a hundred


def test_the_bootstrap_is_that_of_drawn_components():
    energy = np.random.default_rng(0).uniform(1, 2, 27)
    shapes = trajectory_of(BANK, CIFAR).energy[::10].astype(np.float64)
    drawn = bootstrap(energy, shapes)
    weight = np.random.default_rng(0).multinomial(27, np.full(27, 1 / 27), size=1000)[5]
    again = np.repeat(np.arange(27), weight)
    expected = max(np.corrcoef(energy[again], shape[again])[0, 1] for shape in shapes)
    assert drawn[5] == pytest.approx(expected)
    low, high = interval(drawn)
    assert np.mean((drawn > low) & (drawn < high)) == pytest.approx(0.95, abs=0.002)


def test_filters_data_and_normalisation_may_be_given_as_elsewhere():
    filters = np.random.default_rng(2).standard_normal((8, 3, 3, 3))
    given: Any = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    profile = fl.energy_profile(filters, CIFAR.basis(BANK, **given))
    first, second = (fl.fit_theory(one, CIFAR, **given).to_dict() for one in (filters, profile))
    random = [first[theory].pop("random") for theory in ("eq3", "composition")]
    assert all(0 < r < 1 for r in random)  # of a profile alone the filters are not known
    assert [second[theory].pop("random") for theory in ("eq3", "composition")] == [None, None]
    assert first == second
    assert first["composition"]["correlation"] != fl.fit_theory(filters).to_dict()["composition"]["correlation"]


@pytest.mark.parametrize(
    ("filters", "data", "expected"),
    [
        (fl.FilterBank(np.random.default_rng(0).normal(size=(9, 3, 4, 4))), None, "expected odd ones"),
        (fl.FilterBank(np.random.default_rng(0).normal(size=(9, 3, 3, 5))), None, "expected square ones"),
        (fl.FilterBank(np.random.default_rng(0).normal(size=(9, 3, 3, 3)), stride=(2, 1)), None, "in both directions"),
        (fl.FilterBank(np.random.default_rng(0).normal(size=(9, 3, 11, 11)), stride=(4, 4)), None, "7,803 numbers"),
        (fl.FilterBank(np.random.default_rng(0).normal(size=(9, 3, 3, 3))), BASIS, "holds no moments"),
        (fl.FilterBank(np.random.default_rng(0).normal(size=(9, 3, 3, 3))), CIFAR.moments(3, 3, 3), "windows of 5 x 5"),
        (fl.FilterBank(np.random.default_rng(0).normal(size=(9, 3, 1, 1))), None, "there is no window"),
    ],
    ids=["even", "not square", "two strides", "11 x 11 by 4", "a basis", "narrow moments", "1 x 1"],
)
def test_where_composition_is_not_defined_it_says_why(filters: fl.FilterBank, data, expected: str):
    fit = fl.fit_theory(filters, data)
    assert fit.eq3 is not None
    assert fit.composition is None
    assert expected in fit.refusal
    assert "\n" not in fit.refusal
    assert (fit.better, fit.to_dict()["interval"]) == ("", None)
    with pytest.raises(fl.InputError, match=expected):
        fl.fit_theory(filters, data, theory="composition")


def test_another_theory_is_refused():
    with pytest.raises(fl.InputError, match='expected "eq3"'):
        fl.fit_theory(BANK, theory="eq4")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("profile", [[], ["a"] * 27, np.ones(27) + 1j])
def test_a_profile_that_is_no_numbers_is_refused_in_one_line(profile):
    with pytest.raises(fl.InputError, match="expected a vector of energies"):
        fl.fit_theory(profile)


def test_a_wrong_stride_is_no_reason_why_composition_is_not_defined():
    with pytest.raises(fl.InputError, match="stride is 0; expected a whole number"):
        fl.fit_theory(BANK, stride=0)
