"""The experiment `frequency`: spectra with known answers, and verdicts on runs made to have known profiles."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.experiments.made import finish, learner, small_context

from firstlight.experiments import Context, frequency
from firstlight.experiments.frequency import cell_shares
from firstlight.experiments.frequency.claims import localised_claim
from firstlight.experiments.results import Result
from firstlight.patches import PatchBasis, spectra as frequencies
from firstlight.patches.spectra import mean_frequency, spectra

# Mean, gradient and curvature: the orthonormal cosine basis of three taps, each in one third of the frequencies.
TAPS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
SEEDS = st.integers(0, 2**32 - 1)


def random_filters(seed: int, count: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 3, 3))


def cosine_basis() -> PatchBasis:
    """A basis of 27 separable components: channel by vertical by horizontal taps, in this order of variance."""
    components = np.einsum("cd,ay,bx->cabdyx", np.eye(3), TAPS, TAPS).reshape(27, 27)
    matrix = components.T @ np.diag(np.geomspace(20, 0.003, 27)) @ components
    return PatchBasis.from_matrix(
        matrix, count=1, kernel_size=3, channels=3, stride=1, mean=(0,) * 3, std=(1,) * 3, center=False
    )


@given(SEEDS)
def test_a_spectrum_is_the_squared_fourier_sum(seed):
    (weight,) = filters = random_filters(seed, 1)
    rng = np.random.default_rng(seed)
    row, column = rng.integers(frequencies.BINS), rng.integers(frequencies.BINS // 2)
    fy, fx = frequencies.FREQUENCIES[row], frequencies.FREQUENCIES[frequencies.BINS // 2 + column]
    assert fx > 0
    power = sum(
        abs(sum(channel[y, x] * np.exp(-2j * np.pi * (fy * y + fx * x)) for y in range(3) for x in range(3))) ** 2
        for channel in weight
    )
    assert spectra(filters)[0, row, column] == pytest.approx(power, rel=1e-9, abs=1e-12)
    assert np.hypot(fy, fx) == frequencies.RADIUS[row, column]


@given(SEEDS)
def test_power_is_conserved(seed):
    filters = random_filters(seed)
    power = spectra(filters)
    assert power.mean(axis=(1, 2)) == pytest.approx(np.square(filters).sum(axis=(1, 2, 3)))
    assert cell_shares(filters).sum(axis=(1, 2)) == pytest.approx(1)
    assert (cell_shares(filters) > 0).all()


@settings(max_examples=20)
@given(SEEDS)
def test_an_orthonormal_basis_as_a_whole_has_a_flat_spectrum(seed):
    vectors, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((27, 27)))
    assert spectra(vectors.reshape(27, 3, 3, 3)).sum(axis=0) == pytest.approx(27)


@given(SEEDS)
def test_shares_are_the_sums_of_the_spectrum_over_the_cells(seed):
    filters = random_filters(seed)
    power = spectra(filters)
    bands = (np.abs(frequencies.FREQUENCIES) * 6).astype(int)
    down, across = np.meshgrid(bands, bands[frequencies.BINS // 2 :], indexing="ij")
    for row in range(3):
        for column in range(3):
            inside = power[:, (down == row) & (across == column)].sum(axis=1) / power.sum(axis=(1, 2))
            assert cell_shares(filters)[:, row, column] == pytest.approx(inside, abs=1e-3)


@given(SEEDS)
def test_mirrored_and_turned_filters_have_the_same_frequencies(seed):
    filters = random_filters(seed)
    mirrored, turned = filters[..., ::-1], filters.swapaxes(2, 3)
    assert cell_shares(mirrored) == pytest.approx(cell_shares(filters))
    assert cell_shares(turned) == pytest.approx(cell_shares(filters).swapaxes(1, 2))
    frequencies, widths = mean_frequency(spectra(filters))
    for same in (mirrored, turned, 7 * filters):
        assert mean_frequency(spectra(same))[0] == pytest.approx(frequencies)
        assert mean_frequency(spectra(same))[1] == pytest.approx(widths)


def test_a_single_tap_has_every_frequency():
    filters = np.zeros((1, 3, 3, 3))
    filters[0, 1, 0, 2] = -3.0
    assert cell_shares(filters) == pytest.approx(np.full((1, 3, 3), 1 / 9))
    mean, width = mean_frequency(spectra(filters))
    known = (np.sqrt(2) + np.log(1 + np.sqrt(2))) / 6  # mean distance from the centre of a unit square
    assert mean[0] == pytest.approx(known, rel=1e-4)
    assert width[0] == pytest.approx(np.sqrt(1 / 6 - known**2), rel=1e-3)


def test_separable_components_lie_in_the_cell_of_their_taps():
    table = frequency.component_table(cosine_basis())
    expected = [(down, across) for _ in range(3) for down in (1, 2, 3) for across in (1, 2, 3)]
    assert list(zip(table.band_y, table.band_x, strict=True)) == expected
    assert (table.share > 0.37).all()
    assert table.frequency[0] < table.frequency[1] < table.frequency[4] < table.frequency[8]  # mean to checkerboard


def test_a_saddle_is_as_localised_as_it_is_along_its_diagonals():
    saddle = np.outer(TAPS[1], TAPS[1])
    turned = np.array([[0, 1, 0], [-1, 0, -1], [0, 1, 0]]) / 2
    shares = cell_shares(np.array([saddle, turned])[:, None])
    assert shares[0].max() == shares[0, 1, 1] > 0.35
    assert shares[1, 0, 2] == pytest.approx(shares[1, 2, 0])


def test_random_bases_are_a_null_that_can_be_drawn_again():
    table = frequency.random_table(cosine_basis())
    assert len(table) == frequency.DRAWS
    assert table.share.between(1 / 9, 0.25).all()
    assert table.equals(frequency.random_table(cosine_basis()))


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("frequency"))


def run_on(context: Context, low: float, high: float, accuracy: float = 0.9) -> Result:
    """The result on networks that peak at component 10, with so much of it at the first and the last ones.

    After one step only the first component has any energy to speak of.
    """
    profile = np.r_[low, np.full(17, 0.9), np.full(9, high)]
    profile[9] = 1
    early = np.r_[1, np.full(26, 0.01)]
    filters = learner(context.basis(), lambda spec, step: early if step == 1 else step * profile)
    return frequency.run(finish(context, frequency.EXPERIMENT.networks, filters, train_accuracy=accuracy))


@pytest.fixture(scope="module")
def middle(context) -> Result:
    return run_on(context, 0.79, 0.49)


def test_networks_with_little_at_both_ends_reproduce_the_claim_and_not_after_one_step(middle):
    found = {claim.id: claim for claim in middle.claims}
    assert {name: claim.verdict for name, claim in found.items()} == {
        "S1": "reproduced",
        "S1.resnet20": "reproduced",
        "S1.resnet20b": "holds",
        "O6": "holds",  # real patches
    }
    claim = found["S1"]
    assert claim.values == pytest.approx((0.79,) * 3)
    assert claim.conditions[1].values == pytest.approx((0.49,) * 3)
    assert claim.after_one_step == pytest.approx((1,) * 3)
    assert not claim.holds_after_one_step
    assert claim.for_nothing == found["S1.resnet20"].for_nothing == []
    assert "Of 200 random banks of 64 filters e_1 is 0.84 of the peak and the last third 0.8" in claim.note
    assert "at component 10, 10, 10" in claim.note
    assert found["S1.resnet20b"].kind == "own finding"
    assert set(middle.figures) == {"components", "spectra", "profiles"}
    assert all(entry.svg.startswith("<?xml") for entry in middle.figures.values())
    assert len(middle.runs) == 9


@pytest.mark.parametrize(("low", "high"), [(0.81, 0.49), (0.79, 0.51)])
def test_networks_with_more_at_either_end_do_not(context, low, high):
    assert [claim.verdict for claim in run_on(context, low, high).claims[:2]] == ["not reproduced"] * 2


def test_networks_that_have_not_learnt_are_not_judged(context):
    claim = run_on(context, 0.79, 0.49, accuracy=0.59).claims[0]
    assert claim.verdict == "not tested"
    assert "59.0% training accuracy at step 100, and 60% are needed" in claim.reason


def test_components_like_random_vectors_are_not_localised(middle):
    random_bases = middle.tables["random_bases"]
    components = middle.tables["components"].assign(share=random_bases.share.median())
    assert localised_claim(components, random_bases).verdict == "violated"


def test_without_any_run_the_components_are_still_judged(context):
    result = frequency.run(context)
    assert [claim.verdict for claim in result.claims] == ["not tested"] * 3 + ["holds"]
    assert result.claims[0].reason == context.trained("vgg11").reason
    assert set(result.figures) == {"components", "spectra"}
    assert result.tables["sensitivity"].empty
