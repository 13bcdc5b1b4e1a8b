"""Eq. 3 over time: chosen steps go from early to whitened, and each profile is compared with its limits."""

import json
from dataclasses import replace

import numpy as np
import pytest

from firstlight.errors import InputError
from firstlight.patches.shipped import shipped_moments
from firstlight.theory import linear_cnn_profile
from firstlight.theory.over_time import formula_over_time

BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))


def test_chosen_steps_go_from_early_to_whitened():
    found = formula_over_time(BASIS, 1e-4)
    assert found.steps[0] == 1
    assert np.isinf(found.steps[-1])
    assert (np.diff(found.steps) > 0).all()
    assert found.with_lambda[0] > 0.9999
    assert found.with_whitening[-1] > 0.9999
    assert (np.diff(np.argmax(found.energy, axis=1)) >= 0).all()
    assert found.descent == "converging"


def test_given_steps_are_taken_in_order():
    found = formula_over_time(BASIS, 0.01, [100, 1, 100])
    assert found.steps.tolist() == [1, 100]
    assert found.tau.tolist() == [0.01, 1.0]
    np.testing.assert_array_equal(found.energy, linear_cnn_profile(BASIS.variance, lr=0.01, steps=[1, 100]))


def test_where_a_component_has_no_variance_nothing_is_whitened():
    flat = replace(BASIS, variance=np.r_[BASIS.variance[:-1], 0.0])
    found = formula_over_time(flat, 0.01)
    assert np.isfinite(found.steps).all()
    assert np.isnan(found.with_whitening).all()
    assert np.isfinite(found.with_lambda).all()


def test_no_step_is_no_profile_to_compare():
    found = formula_over_time(BASIS, 0.01, [0, 1])
    assert np.isnan([found.with_lambda[0], found.with_whitening[0]]).all()
    assert np.isfinite(found.with_lambda[1])


def test_it_is_told_in_json_and_as_a_table():
    found = formula_over_time(BASIS, 0.01, [1, np.inf])
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["steps"] == [1.0, "inf"]
    assert list(found.to_frame()) == ["component", "variance", "energy_after_1_steps", "energy_after_inf_steps"]


def test_patches_without_structure_are_refused():
    with pytest.raises(InputError, match="all patches are zero"):
        formula_over_time(replace(BASIS, variance=np.zeros(27)), 0.01)
