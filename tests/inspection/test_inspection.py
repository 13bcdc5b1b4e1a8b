"""inspect: every measure on banks with known answers, what is said of them, and its JSON."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import firstlight as fl
from firstlight.errors import InputError, NonFiniteWeights
from firstlight.filters import FilterBank
from firstlight.inspection.inspect_banks import inspect_all, load_banks
from firstlight.inspection.inspection import Inspection
from firstlight.inspection.measures import filter_faults
from firstlight.inspection.not_inspected import Failure
from firstlight.patches.shipped import shipped_moments, shipped_normalisation
from firstlight.theory import PEAK

SCHEMA = json.loads((files("firstlight.inspection") / "schema.json").read_text())
BASIS = shipped_moments(3).basis(*shipped_normalisation())


def with_profile(energy: np.ndarray, filters: int = 64, seed: int = 0) -> np.ndarray:
    """Filters, (K, 3, 3, 3), whose profile is exactly this one."""
    coefficients = np.random.default_rng(seed).normal(size=(filters, BASIS.size))
    coefficients *= energy / np.sqrt(np.mean(coefficients**2, axis=0))
    return (coefficients @ BASIS.components).reshape(filters, 3, 3, 3)


def said(found: Inspection, text: str) -> bool:
    return any(text in str(finding) for finding in found.findings)


def codes(found: Inspection) -> list[str]:
    return [finding.code for finding in found.findings]


@settings(max_examples=15, deadline=None)
@given(st.floats(-2, 2))
def test_tau_is_recovered_and_the_whitened_components_are_counted(log_tau: float):
    tau = 10**log_tau
    found = fl.inspect(with_profile(fl.linear_cnn_profile(BASIS.variance, tau)))
    assert found.fit is not None
    assert found.fit.tau == pytest.approx(tau, rel=1e-5)
    assert found.fit.correlation == pytest.approx(1)
    np.testing.assert_allclose(found.profile.energy, fl.linear_cnn_profile(BASIS.variance, tau), rtol=1e-10)
    whitened = int(np.sum(tau * BASIS.variance >= PEAK))
    if whitened:
        assert found.findings[0].code == "partly-whitened"
        assert f"partial whitening up to component {whitened}: it follows eq. 3 with r = 1.00" in found.findings[0].text
    else:
        assert codes(found)[0] == "not-whitened"


def test_a_whitened_bank():
    found = fl.inspect(with_profile(1 / np.sqrt(BASIS.variance)))
    assert codes(found) == ["whitened", "open-time", "regime", "standing"]
    assert found.whitening == pytest.approx(0, abs=1e-9)
    assert found.profile.peak == 26


def random_norms(kind: str, filters: int, rng: np.random.Generator) -> np.ndarray:
    """Norms of filters that no training has made."""
    return {
        "equal": lambda: np.ones(filters),
        "Gaussian filters": lambda: np.sqrt(rng.chisquare(27, filters)),
        "log-normal": lambda: rng.lognormal(0, 1, filters),
        "half pruned": lambda: np.repeat([1.0, 0.0], [filters - filters // 2, filters // 2]),
        "one large": lambda: np.r_[30.0, np.ones(filters - 1)],
        "gains of a batch normalisation": lambda: np.abs(rng.normal(0, 1, filters)),
    }[kind]()


NORMS = ("equal", "Gaussian filters", "log-normal", "half pruned", "one large", "gains of a batch normalisation")


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize(("shape", "banks"), [((16, 3, 3, 3), 30), ((64, 1, 5, 5), 15)])
def test_random_filters_of_any_norms_look_untrained_nineteen_times_in_twenty(kind, shape, banks):
    assert false_alarms(kind, shape, banks) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / banks)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("shape", [(16, 3, 3, 3), (64, 3, 3, 3), (64, 3, 7, 7), (32, 1, 5, 5), (4, 3, 2, 5)])
def test_false_alarms_of_a_thousand_random_banks(kind, shape):
    share = false_alarms(kind, shape, 1000)
    print(f"{kind}, {shape}: {share:.1%} of 1,000 random banks do not look untrained")
    assert 0.005 < share < 0.08  # three tests have to be passed, at 5% each


RANDOM_VALUES = {
    "zeros and ones": lambda rng: (rng.random((32, 3, 3, 3)) < 0.5).astype(float),
    "positive": lambda rng: rng.random((64, 3, 7, 7)),
    "log-normal": lambda rng: np.exp(rng.normal(size=(64, 3, 3, 3))),
    "mostly zero": lambda rng: rng.normal(size=(64, 3, 3, 3)) * (rng.random((64, 3, 3, 3)) < 0.1),
    "heavy tails": lambda rng: rng.standard_cauchy((64, 3, 3, 3)),
    "each filter about a mean of its own": lambda rng: rng.normal(size=(32, 1, 1, 1)) + rng.normal(size=(32, 3, 3, 3)),
    "each channel about a mean of its own": lambda rng: rng.normal(size=(32, 3, 1, 1)) + rng.normal(size=(32, 3, 3, 3)),
    "constant within each channel": lambda rng: rng.normal(size=(64, 3, 1, 1)) * np.ones((3, 3)),
    "constant along rows": lambda rng: rng.normal(size=(16, 3, 3, 1)) * np.ones(3),
    "constant along columns": lambda rng: rng.normal(size=(16, 3, 1, 3)) * np.ones((3, 1)),
    "channels of unlike size": lambda rng: rng.normal(size=(64, 3, 3, 3)) * np.array([1, 3, 9])[:, None, None],
}


@pytest.mark.parametrize("values", RANDOM_VALUES)
def test_random_weights_of_any_values_look_untrained(values):
    found = [fl.inspect(RANDOM_VALUES[values](np.random.default_rng(seed))) for seed in range(8)]
    assert sum("untrained" in codes(one) for one in found) >= 6


def test_an_order_of_the_weights_that_means_something_is_no_random_one():
    weight = np.random.default_rng(0).random((64, 3, 3, 3))
    assert codes(fl.inspect(weight))[0] == "untrained"
    assert "untrained" not in codes(fl.inspect(np.sort(weight.reshape(64, -1)).reshape(weight.shape)))


@pytest.mark.parametrize("power", [-308, -300, -160, 160, 300])
def test_the_unit_of_the_weights_changes_nothing_that_is_said(power):
    weight = np.random.default_rng(0).normal(size=(8, 3, 3, 3))
    tiny = fl.inspect(weight * 10.0**power)
    assert [finding.text for finding in tiny.findings] == [finding.text for finding in fl.inspect(weight).findings]
    assert tiny.spread == pytest.approx(fl.inspect(weight).spread, rel=1e-6)
    json.dumps(tiny.to_dict(), allow_nan=False)


def test_one_filter_that_is_huge_overflows_nothing():
    weight = np.random.default_rng(0).normal(size=(8, 3, 3, 3))
    weight[0] *= 1e200
    json.dumps(fl.inspect(weight).to_dict(), allow_nan=False)


def false_alarms(kind: str, shape: tuple[int, ...], banks: int) -> float:
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(banks):
        weight = rng.normal(size=shape)
        weight *= (random_norms(kind, len(weight), rng) / np.linalg.norm(weight.reshape(len(weight), -1), axis=1))[
            :, None, None, None
        ]
        found += "untrained" not in codes(fl.inspect(weight))
    return found / banks


def test_a_profile_that_eq_3_does_not_describe_is_said_to_be_so():
    energy = np.ones(27)
    energy[::4] = 6  # uneven, without regard to the variance
    found = fl.inspect(with_profile(energy))
    assert said(found, "eq. 3 does not describe it")
    assert not said(found, "partial whitening")


def test_what_eq_3_leaves_over_is_told_by_component():
    energy = fl.linear_cnn_profile(BASIS.variance, 3.0)
    energy[16] *= 6
    energy[5] /= 6
    found = fl.inspect(with_profile(energy))
    assert found.fit is not None
    assert said(found, f"it follows eq. 3 with r = {found.fit.correlation:.2f}")
    assert said(found, "with more energy in 17 and less in 6")


def test_whitening_is_not_claimed_where_small_energies_do_not_follow():
    energy = fl.linear_cnn_profile(BASIS.variance, 3.0)
    energy = np.hypot(energy, 0.7 * energy.max())  # as initial filters add to all components
    found = fl.inspect(with_profile(energy))
    assert found.fit is not None
    assert found.fit.log_r2 < 0
    assert found.fit.correlation > 0.9
    assert codes(found)[0] == "follows-eq-3"
    assert not said(found, "partial whitening")


def test_zero_filters_and_filters_that_have_not_moved():
    assert codes(fl.inspect(np.zeros((4, 3, 3, 3)))) == ["all-zero"]
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    assert codes(fl.inspect(weight, initial=weight)) == ["not-moved"]


def test_the_change_is_measured_where_the_initial_filters_are_given():
    start = 10 * np.random.default_rng(0).normal(size=(64, 3, 3, 3))
    step = with_profile(fl.linear_cnn_profile(BASIS.variance, 0.5))
    found = fl.inspect(start + step, initial=start)
    assert found.profile.change
    assert found.fit is not None
    assert found.fit.tau == pytest.approx(0.5, rel=1e-4)
    assert said(fl.inspect(start + step), "untrained")


def test_small_filters_that_respond_as_much_as_others_are_not_dead():
    """Of those that whiten, the one of the first component is the smallest by far, and its output varies as all do."""
    weight = fl.whitening_filters(fl.patch_statistics("cifar10").basis(fl.FilterBank(np.ones((1, 3, 7, 7)))), 64, eps=0)
    norms = np.linalg.norm(weight.reshape(64, -1), axis=1)
    assert norms.min() < 0.03 * np.percentile(norms, 75)
    assert not fl.inspect(weight).faults.dead


def test_whitening_is_not_claimed_where_the_profile_is_far_from_it():
    energy = 1 / np.sqrt(BASIS.variance)
    assert codes(fl.inspect(with_profile(energy)))[0] == "whitened"
    energy[np.arange(27) % 2 == 1] /= 6
    energy[-1] *= 8
    found = fl.inspect(with_profile(energy))
    assert found.fit is not None
    assert (found.fit.bound, found.whitening > 0.5, found.fit.log_r2 > 0) == ("late", True, True)
    assert codes(found)[0] == "follows-eq-3"
    assert said(found, f"its distance from it is {found.whitening:.2f}")


@pytest.mark.parametrize("shape", [(64, 3, 1, 1), (256, 1, 1, 3), (64, 2, 1, 1), (64, 1, 1, 1), (512, 1, 2, 2)])
def test_random_filters_of_few_numbers_are_no_duplicates(shape: tuple[int, ...]):
    rng = np.random.default_rng(0)
    found = [bool(filter_faults(rng.normal(size=shape)).duplicates) for _ in range(40)]
    assert sum(found) <= 6
    weight = rng.normal(size=shape)
    weight[1] = 2 * weight[0]
    assert shape[1:] == (1, 1, 1) or any({0, 1} <= set(group) for group in filter_faults(weight).duplicates)


def test_faults_are_said_by_number():
    weight = with_profile(fl.linear_cnn_profile(BASIS.variance, 1.0))
    weight[3], weight[5] = 0, 2 * weight[7]
    found = fl.inspect(weight)
    assert said(found, "1 of 64 filters is dead, of norms and responses below 3% of the upper quartile: 3")
    assert said(found, "duplicate filters, equal but for a factor: 5 = 7")


def test_too_few_patches_are_said_first():
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 4, 4), dtype=np.uint8)
    found = fl.inspect(np.random.default_rng(1).normal(size=(16, 3, 3, 3)), images, layout="NCHW", progress=False)
    assert codes(found)[0] == "few-patches"
    assert said(found, "4 patches are too few for 27 components: 23 of them have no variance")


def test_channels_that_are_alike_or_unused_are_named():
    weight = np.repeat(np.random.default_rng(0).normal(size=(16, 1, 3, 3)), 3, axis=1)
    assert codes(fl.inspect(weight)) == ["grey-input"]  # random ones are in few components, too: no word of training
    weight = np.random.default_rng(0).normal(size=(16, 3, 3, 3))
    weight[:, 1] *= 1e-3
    assert said(fl.inspect(weight), "input channel 1 is hardly used")


def test_swapped_channels_are_named():
    weight = np.random.default_rng(0).normal(size=(64, 3, 3, 3)) * np.reshape([0.6, 1.0, 1.0], (3, 1, 1))
    assert said(fl.inspect(weight), "input channels look swapped (BGR)")
    assert not said(fl.inspect(weight[:, ::-1]), "swapped")


def test_batch_normalisation_is_folded_where_asked_for():
    weight, scale = np.random.default_rng(0).normal(size=(8, 3, 3, 3)), np.linspace(0.1, 5, 8)
    bank = FilterBank(weight, layer="conv1", batch_norm="bn1", scale=scale)
    plain, folded = fl.inspect(bank), fl.inspect(bank, fold_batch_norm=True)
    assert said(plain, "a batch normalisation follows, bn1")
    assert said(folded, "multiplied by the scale of bn1")
    np.testing.assert_allclose(folded.bank.weight, weight * scale[:, None, None, None])
    np.testing.assert_array_equal(plain.bank.weight, weight)
    with pytest.raises(InputError, match="no batch normalisation is known to follow"):
        fl.inspect(weight, fold_batch_norm=True)


def test_what_else_might_have_been_meant_is_listed():
    found = fl.inspect(FilterBank(np.ones((4, 3, 3, 3)), layer="a", alternatives=("b 4 x 3 x 3 x 3",)))
    assert said(found, "these fit as well: b 4 x 3 x 3 x 3; choose with --layer")


def test_not_a_number_is_refused_with_the_filters_number():
    weight = np.ones((4, 3, 3, 3))
    weight[2, 0, 0, 0] = np.nan
    with pytest.raises(NonFiniteWeights, match=r"hold NaN or infinity in 1 of 4 filters, first in filter 2"):
        fl.inspect(weight)


def test_a_single_pixel_kernel_and_a_single_filter():
    for shape in ((16, 3, 1, 1), (1, 3, 3, 3), (1, 1, 2, 2), (4, 1, 1, 3)):
        found = fl.inspect(np.random.default_rng(0).normal(size=shape))
        assert found.findings
        jsonschema.validate([found.to_dict()], SCHEMA)


def test_a_kernel_with_too_few_components_says_why_it_is_not_fitted():
    found = fl.inspect(np.random.default_rng(0).normal(size=(16, 1, 1, 1)))
    assert found.fit is None
    assert said(found, "eq. 3 cannot be fitted")


def banks() -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=(16, 3, 3, 3)),
        np.zeros((4, 3, 3, 3)),
        FilterBank(rng.normal(size=(16, 1, 7, 7)), stride=None, alternatives=("x 1 x 3 x 3 x 3",), notes=("a note",)),
        with_profile(1 / np.sqrt(BASIS.variance)),
        FilterBank(rng.normal(size=(6, 1, 3, 3)), groups=3, batch_norm="bn", scale=np.ones(6)),
        rng.normal(size=(4, 3, 1, 1)),
    ]


@pytest.mark.parametrize("bank", banks())
def test_json_follows_the_schema_and_holds_the_numbers(bank: Any):
    found = fl.inspect(bank)
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    jsonschema.validate([written], SCHEMA)
    np.testing.assert_array_equal(written["energy"], found.profile.energy)
    np.testing.assert_array_equal(written["variance"], found.basis.variance)
    assert written["findings"] == [finding.to_dict() for finding in found.findings]
    assert all(finding["advice"] for finding in written["findings"])
    assert written["shape"] == list(found.bank.weight.shape)


def test_a_failure_has_the_same_fields():
    failure = Failure("a.pt", "a.pt is empty").to_dict()
    jsonschema.validate([failure], SCHEMA)
    assert set(failure) == set(fl.inspect(np.ones((2, 3, 3, 3))).to_dict())


def test_one_source_that_fails_does_not_keep_the_others_back(tmp_path: Path):
    np.save(tmp_path / "good.npy", np.random.default_rng(0).normal(size=(4, 3, 3, 3)))
    (tmp_path / "bad.npy").write_bytes(b"")
    np.save(tmp_path / "nan.npy", np.full((4, 3, 3, 3), np.nan))
    np.save(tmp_path / "odd.npy", np.ones((4, 7, 3, 3)))
    names = ["good", "bad", "nan", "odd"]
    found = inspect_all(load_banks([str(tmp_path / f"{name}.npy") for name in names]))
    assert [type(one) for one in found] == [Inspection, Failure, Failure, Failure]
    assert all(str(tmp_path) in one.to_dict()["source"] for one in found)
    assert "is empty" in found[1].to_dict()["error"]
    assert "NaN" in found[2].to_dict()["error"]
    assert "7 channels" in found[3].to_dict()["error"]


def test_tables_and_figures():
    found = fl.inspect(np.random.default_rng(0).normal(size=(4, 3, 3, 3)))
    frame = found.to_frame()
    assert len(frame) == 27
    np.testing.assert_array_equal(frame["energy"], found.profile.energy)
    assert np.max(frame["normalized"]) == 1
    fig, ax = found.plot()
    assert len(ax.lines) == 2
    assert fig is ax.get_figure()
    assert len(fl.inspect(np.zeros((4, 3, 3, 3))).plot()[1].lines) == 1
