"""Both theories in `inspect`: what is said of networks, of random banks, and where one theory is missing."""

import json
from pathlib import Path

import numpy as np
import pytest

import firstlight as fl
from firstlight.filters import FilterBank
from firstlight.inspection.theories import MOST_SECONDS, regime
from firstlight.patches.bank_statistics import zeros
from firstlight.patches.shipped import shipped_moments
from firstlight.theory.kept_trajectories import trajectory_of
from firstlight.training import Run

CIFAR = fl.patch_statistics("cifar10")
BASIS = CIFAR.basis(zeros(3, 3))
RECORDED = Path(__file__).parents[2] / "results" / "runs"


def with_profile(energy: np.ndarray, seed: int = 0) -> np.ndarray:
    coefficients = np.random.default_rng(seed).normal(size=(64, BASIS.size))
    coefficients *= energy / np.sqrt(np.mean(coefficients**2, axis=0))
    return (coefficients @ BASIS.components).reshape(64, 3, 3, 3)


def sentence(found: fl.Inspection) -> str:
    said = [finding.text for finding in found.findings if finding.code == "regime"]
    assert len(said) <= 1
    return "".join(said)


def test_a_layer_of_composition_is_said_to_be_one_and_nothing_is_said_of_whitening():
    found = fl.inspect(with_profile(trajectory_of(zeros(3, 3), CIFAR).energy[24]))
    assert sentence(found).startswith("composition describes it better than eq. 3")
    assert found.to_dict()["theories"]["better"] == "composition"
    assert found.findings[0].code in ("follows-eq-3", "not-eq-3")
    assert "partial" not in found.findings[0].text


def test_a_layer_of_eq_3_is_said_to_be_one():
    found = fl.inspect(with_profile(fl.linear_cnn_profile(BASIS, tau=2.0)))
    assert sentence(found).startswith("eq. 3 describes it better than composition")
    assert found.findings[0].code == "partly-whitened"


def test_what_neither_describes_is_said_to_be_so_once_and_without_contradiction():
    energy = np.ones(27)
    energy[::4] = 6
    found = fl.inspect(with_profile(energy))
    assert found.findings[0].code == "not-eq-3"
    assert sentence(found).startswith("neither eq. 3 nor composition")


@pytest.mark.parametrize("seed", range(6))
def test_random_banks_are_told_no_regime(seed):
    found = fl.inspect(np.random.default_rng(seed).normal(size=(32, 3, 3, 3)))
    if found.doubt:
        assert sentence(found) == ""
        assert found.to_dict()["theories"]["better"] == ""
    assert found.theory_rows


@pytest.mark.parametrize("labels", ["true", "random"])
def test_the_change_of_recorded_networks_is_never_said_to_be_of_composition(labels):
    runs = (Run.load(path) for path in sorted(RECORDED.iterdir()))
    specs = ("vgg11", labels, 10)
    run = next(run for run in runs if (run.spec.model, run.spec.labels, run.spec.classes) == specs)
    found = fl.inspect(run.final, initial=run.initial)
    assert found.theories is not None
    assert found.theories.better in ("eq3", "both")
    assert sentence(found).startswith("eq. 3")


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((16, 3, 1, 1), "the kernel is 1 x 1"),
        ((16, 3, 4, 4), "windows of 7 x 7 pixels have no centre of 4 x 4"),
        ((16, 3, 16, 16), "windows of 31 x 31 pixels have no centre of 16 x 16"),
        ((16, 3, 3, 5), "the kernels are 3 x 5"),
        ((16, 3, 11, 11), "compute it once with firstlight.fit_theory"),
    ],
)
def test_where_there_is_no_composition_one_line_says_why(shape, why):
    found = fl.inspect(np.random.default_rng(0).normal(size=shape) * np.linspace(0.1, 3, shape[-1]))
    if found.theories is None:  # of three components eq. 3 cannot be fitted either
        assert found.unfitted
        return
    assert why in found.theories.refusal
    assert "\n" not in found.theories.refusal
    assert sentence(found) == ""
    assert {other for _, _, other, _ in found.theory_rows[1:]} == {"-"}
    json.dumps(found.to_dict(), allow_nan=False)


def test_moments_of_the_kernels_own_size_are_not_enough():
    weight = with_profile(fl.linear_cnn_profile(BASIS, tau=2.0))
    found = fl.inspect(weight, shipped_moments(3))
    assert found.theories is not None
    assert found.theories.refusal.endswith("compute some for kernel size 5")


def test_grey_filters_have_composition_too_and_new_data_are_read_once(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 12, 12), dtype=np.uint8)
    weight = np.random.default_rng(1).normal(size=(8, 1, 3, 3)) * np.linspace(0.1, 3, 3)
    first = fl.inspect(weight, images, data_dir=tmp_path)
    assert first.theories is not None
    assert first.theories.composition is not None
    assert "is computed, once" in capsys.readouterr().err
    again = fl.inspect(weight, images, data_dir=tmp_path)
    assert again.to_dict() == first.to_dict()
    assert capsys.readouterr().err == ""


def test_of_images_smaller_than_windows_there_is_none():
    images = np.random.default_rng(0).integers(0, 256, (200, 1, 4, 4), dtype=np.uint8)
    found = fl.inspect(np.random.default_rng(1).normal(size=(8, 1, 3, 3)), images)
    assert found.theories is not None
    assert "smaller than the kernel, 5 x 5" in found.theories.refusal


def test_kernels_with_a_stride_have_windows_of_their_own():
    weight = with_profile(fl.linear_cnn_profile(BASIS, tau=2.0))
    fits = [fl.inspect(FilterBank(weight, stride=(stride, stride))).theories for stride in (1, 2)]
    one, two = (fit.composition.correlation for fit in fits if fit and fit.composition)
    assert one != two
    assert MOST_SECONDS > 3


def test_without_both_theories_nothing_is_said_of_which_is_better():
    assert regime(fl.fit_theory(with_profile(np.linspace(1, 2, 27)), theory="eq3")) is None
