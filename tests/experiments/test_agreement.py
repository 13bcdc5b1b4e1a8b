"""How alike profiles are, beyond λ, and by chance."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.experiments.made import finish, learner, small_context

from firstlight.experiments.shared.agreement import Measured, beyond, end_steps, pair_rows, random_agreement, similarity
from firstlight.patches import PatchBasis
from firstlight.profile import correlation, energy_profile


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> list[Measured]:
    context = small_context(tmp_path_factory.mktemp("agreement"), names=("cifar10",))
    names = ("vgg11", "resnet20", "vgg11-width128")
    own = np.random.default_rng(1).random((3, 27)) + 0.1
    done = finish(context, names, learner(context.basis(), lambda spec, step: own[spec.seed]), train_accuracy=0.7)
    return [Measured.of(done, name) for name in names]


@given(st.integers(0, 2**32 - 1), st.integers(4, 40))
def test_what_is_left_beyond_lambda_is_the_correlation_of_regression_residuals(seed, size):
    rng = np.random.default_rng(seed)
    a, b, known_a, known_b = rng.random((4, size)) + 0.1
    residuals = []
    for profile, known in ((a, known_a), (b, known_b)):
        design = np.stack([known, np.ones(size)], axis=1)
        residuals.append(profile - design @ np.linalg.lstsq(design, profile)[0])
    assert beyond(a, known_a, b, known_b) == pytest.approx(np.corrcoef(*residuals)[0, 1], abs=1e-6)
    assert beyond(3 * a + 1, known_a, b, 5 * known_b) == pytest.approx(beyond(a, known_a, b, known_b), abs=1e-6)
    assert np.isnan(beyond(2 * known_a + 1, known_a, b, known_b))


def test_a_layer_that_has_not_moved_is_like_no_other():
    assert np.isnan(similarity(np.zeros(27), np.arange(27.0)))
    assert np.isnan(beyond(np.zeros(27), np.arange(27.0), np.arange(27.0), np.arange(27.0)))


def test_every_pair_of_runs_is_there_once_and_those_of_one_seed_only_where_wanted(networks):
    vgg, resnet, _ = networks
    assert end_steps(vgg, resnet) == [(1, 1), (100, 100)]
    seeds = {
        name: list(zip(rows.seed, rows.other_seed, strict=True))
        for name, rows in {
            "itself": pair_rows(vgg, vgg, [(100, 100)]),
            "other": pair_rows(vgg, resnet, [(100, 100)]),
            "apart": pair_rows(vgg, resnet, [(100, 100)], same_seed=False),
        }.items()
    }
    assert seeds["itself"] == [(0, 1), (0, 2), (1, 2)]
    assert seeds["other"] == [(one, two) for one in range(3) for two in range(3)]
    assert seeds["apart"] == [(one, two) for one, two in seeds["other"] if one != two]


def test_the_nearest_step_is_so_in_the_logarithm(networks):
    steps = networks[0].steps
    assert steps[-3:] == [56, 75, 100]
    assert [networks[0].nearest(step) for step in (1, 64, 66, 86, 87, 5000)] == [1, 56, 75, 75, 100, 100]


def test_random_banks_agree_by_chance_only(networks):
    vgg, resnet, wide = networks
    for groups in ([vgg], [resnet], [vgg, resnet], [vgg, resnet, wide]):
        null = random_agreement(groups)
        assert null["mean"] == pytest.approx(0, abs=0.03)
        # Of 27 independent numbers: Student's t with 25 degrees of freedom; 24 where λ is known.
        assert null["percentile_95"] == pytest.approx(1.708 / np.sqrt(25 + 1.708**2), abs=0.04)
        assert null["beyond_lambda_percentile_95"] == pytest.approx(1.711 / np.sqrt(24 + 1.711**2), abs=0.04)
    assert null["of"] == "3000 pairs of random banks of 64 and 16 or 64 and 128 or 16 and 128 filters"


def test_the_null_is_that_of_banks_which_are_drawn_and_measured(networks):
    basis: PatchBasis = networks[0].basis
    deviation = np.sqrt(basis.variance)
    banks = np.random.default_rng(1).standard_normal((600, 2, 16, 3, 3, 3))
    profiles = [[energy_profile(bank, basis).energy for bank in pair] for pair in banks]
    null = random_agreement([networks[1]])
    assert np.percentile([correlation(a, b) for a, b in profiles], 95) == pytest.approx(null["percentile_95"], abs=0.05)
    left = [beyond(a, deviation, b, deviation) for a, b in profiles]
    assert np.percentile(left, 95) == pytest.approx(null["beyond_lambda_percentile_95"], abs=0.05)
