"""The experiment `frequency`: spectra with known answers, and verdicts on runs made to peak at a known frequency."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.experiments.made import finish, small_context

from firstlight.experiments import Context, frequency
from firstlight.experiments.frequency import cell_shares, response
from firstlight.experiments.results import Result
from firstlight.experiments.shared.plans import network_specs
from firstlight.patches import PatchBasis, spectra as frequencies
from firstlight.patches.spectra import mean_frequency, spectra
from firstlight.training import RunSpec

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
    assert response(filters) == pytest.approx(3.0)


def test_the_response_of_a_bank_is_the_root_mean_square_over_its_filters():
    filters = random_filters(0)
    alone = np.array([response(filters[index : index + 1]) for index in range(4)])
    assert response(filters) == pytest.approx(np.sqrt(np.square(alone).mean(axis=0)))
    assert len(response(filters)) == len(frequency.RINGS)
    means = np.full((1, 3, 3, 3), 1 / 27)  # sums to 1: the response to a constant image, and less to all others
    assert response(means)[0] == pytest.approx(np.sqrt(1 / 3), rel=1e-2)
    assert response(means).argmax() == 0


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


def peaking_at(context: Context, component: int, specs: Sequence[RunSpec] | None = None) -> Result:
    """The result on runs whose change is the component of this rank by mean frequency, on random initial filters."""
    basis = context.basis()
    order = frequency.component_table(basis).frequency.argsort()
    direction = basis.images[order[component]]

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        rng = np.random.default_rng(spec.seed)
        return rng.standard_normal((16, 3, 3, 3)) + step * 1e-3 * rng.standard_normal((16, 1, 1, 1)) * direction

    finished = finish(context, network_specs(context) if specs is None else specs, filters)
    finished.failures.update(
        {spec.hash: "the loss is NaN" for spec in network_specs(context) if finished.run(spec) is None}
    )
    return frequency.run(finished)


def verdicts(result: Result) -> dict[str, str]:
    return {claim.name: claim.verdict for claim in result.claims}


@pytest.fixture(scope="module")
def middle(context) -> Result:
    return peaking_at(context, 13)


def test_networks_that_peak_at_intermediate_frequencies_reproduce_the_claim(middle):
    assert verdicts(middle) == {
        "frequency/components/localised": "reproduced",  # real patches
        "frequency/vgg11/peak": "reproduced",
        "frequency/resnet20/peak": "reproduced",
    }
    claim = middle.claims[1]
    components, networks = middle.tables["components"], middle.tables["networks"]
    peak = components.frequency.sort_values().iloc[13]
    assert claim.values == (0.5, 0.5)
    assert f"whose mean frequency is {peak:.3f}, {peak:.3f} cycles/pixel" in claim.note
    assert "After step 20, the last," in claim.note
    assert "17 of the 27 components" in claim.note
    assert networks.query("bank == 'change'").peak_frequency.to_numpy() == pytest.approx(peak)


@pytest.mark.parametrize("rank", [0, 26])
def test_networks_that_peak_at_an_extreme_do_not(context, rank):
    found = verdicts(peaking_at(context, rank))
    assert found["frequency/vgg11/peak"] == found["frequency/resnet20/peak"] == "not reproduced"


def test_components_like_random_vectors_are_not_localised(middle):
    components = middle.tables["components"].assign(share=middle.tables["random_bases"].share.median())
    claims = frequency.judge(components, middle.tables["random_bases"], middle.tables["networks"], {})
    assert claims[0].verdict == "not reproduced"
    assert f"95th percentile {np.percentile(middle.tables['random_bases'].share, 95):.3f}" in claims[0].note


def test_a_network_whose_training_failed_is_not_tested_and_the_others_are(context):
    result = peaking_at(context, 13, network_specs(context)[:3])  # VGG11, and one of two seeds of ResNet20
    assert verdicts(result)["frequency/vgg11/peak"] == "reproduced"
    assert verdicts(result)["frequency/resnet20/peak"] == "not tested"
    assert result.claims[2].note == "resnet20, seed 1: the loss is NaN"


def test_without_any_run_the_components_are_still_judged(context):
    result = peaking_at(context, 13, [])
    assert list(verdicts(result).values()) == ["reproduced", "not tested", "not tested"]
    assert set(result.figures) == {"components", "spectra"}
    assert result.tables["networks"].empty
    assert result.tables["responses"].empty


def test_every_figure_can_be_drawn(middle):
    assert set(middle.figures) == {"components", "spectra", "responses", "profiles"}
    assert all(entry.svg.startswith("<?xml") for entry in middle.figures.values())


def test_it_needs_the_runs_that_other_experiments_share(context):
    assert frequency.EXPERIMENT.plan(context) == network_specs(context)
    assert set(frequency.EXPERIMENT.costs) == {"quick", "standard", "full"}
