"""The experiment `label-correlation`: against brute force, and on labels made to depend on a component."""

from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.made import small_context, small_sets

from firstlight.experiments import Context, label_correlation
from firstlight.experiments.label_correlation import measure, patch_sums, random_patch_energy
from firstlight.experiments.measurements import Measurements
from firstlight.experiments.results import Result
from firstlight.experiments.shared.tables import rows_where
from firstlight.images import ImageSet, SetFacts
from firstlight.patches import PatchBasis, patch_basis
from firstlight.training.prepare import patch_energy


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return small_sets()[0]


@pytest.fixture(scope="module")
def basis(images) -> PatchBasis:
    return patch_basis(images, 3)


def context_of(images: ImageSet, folder, preset: str = "quick") -> Context:
    facts = {images.name: (SetFacts.of(images), SetFacts.of(images))}
    return Context(preset, images.name, facts, lambda name: (images, images), Measurements(folder), {}, {})


def test_sums_over_patches_are_those_of_every_patch(images, basis):
    few = images.subset(103)  # more than a block
    energy, total = patch_sums(few, basis)
    pixels = (few.images / 255 - np.array(few.mean)[:, None, None]) / np.array(few.std)[:, None, None]
    for index in (0, 50, 102):
        patches = np.array([pixels[index, :, y : y + 3, x : x + 3].ravel() for y in range(30) for x in range(30)])
        assert energy[index] == pytest.approx(np.square(patches @ basis.components.T).sum(axis=0), rel=1e-9)
        assert total[index] == pytest.approx((patches @ basis.components.T).sum(axis=0), rel=1e-9, abs=1e-9)


def test_energies_are_those_that_labels_are_made_of(images, basis):
    few = images.subset(150)
    energy, _ = patch_sums(few, basis)
    for component in (0, 13, 26):
        assert energy[:, component] == pytest.approx(patch_energy(few, basis.components[component]), rel=1e-9)


def test_one_patch_of_every_image_is_drawn_from_all_places(images, basis, monkeypatch):
    few = images.subset(103)
    pixels = (few.images / 255 - np.array(few.mean)[:, None, None]) / np.array(few.std)[:, None, None]
    places = [(y, x) for y in range(30) for x in range(30)]
    found = []
    monkeypatch.setattr(label_correlation, "_BLOCK", 5)  # 50 images at a time
    drawn = random_patch_energy(few, basis)
    for image, energy in zip(pixels, drawn, strict=True):
        patches = np.array([image[:, y : y + 3, x : x + 3].ravel() for y, x in places])
        distance = np.abs(np.square(patches @ basis.components.T) - energy).max(axis=1)
        assert distance.min() < 1e-9
        found.append(places[distance.argmin()])
    assert len(set(found)) > 90  # of 900 places
    for coordinates in zip(*found, strict=True):
        assert min(coordinates) < 2
        assert max(coordinates) > 27
    np.testing.assert_array_equal(random_patch_energy(few, basis), drawn)
    monkeypatch.setattr(label_correlation, "PATCH_SEED", 1)
    assert not np.allclose(random_patch_energy(few, basis), drawn)


def test_images_of_floats_are_not_divided_by_255(images, basis):
    few = images.subset(20)
    floats = replace(few, images=few.images / 255)
    for exact, same in zip(patch_sums(few, basis), patch_sums(floats, basis), strict=True):
        assert same == pytest.approx(exact, rel=1e-9, abs=1e-9)


def test_correlations_are_pearsons_with_every_one_vs_all_label(images, basis):
    found = measure(images, basis)
    energy, total = patch_sums(images, basis)
    patch = random_patch_energy(images, basis)
    for component, number in ((0, 0), (5, 3), (26, 4)):
        label = images.labels == number
        assert found["energy"][component, number] == pytest.approx(np.corrcoef(energy[:, component], label)[0, 1])
        assert found["coefficients"][component, number] == pytest.approx(np.corrcoef(total[:, component], label)[0, 1])
        assert found["patch"][component, number] == pytest.approx(np.corrcoef(patch[:, component], label)[0, 1])
    # Permuted labels correlate as chance makes 646 images: r has a standard deviation of 1/sqrt(645).
    for name in ("permuted", "coefficients_permuted", "patch_permuted"):
        assert found[name].shape == (label_correlation.PERMUTATIONS, 27, 5)
        assert found[name].std() == pytest.approx(1 / np.sqrt(645), rel=0.15)
        assert abs(found[name].mean()) < 0.01
    # The labels are permuted alike for all three.
    member = images.labels[:, None] == np.arange(5)
    first = np.random.default_rng(0).permutation(member)[:, 2]
    assert found["patch_permuted"][0, 4, 2] == pytest.approx(np.corrcoef(patch[:, 4], first)[0, 1], abs=1e-6)
    assert found["coefficients_permuted"][0, 4, 2] == pytest.approx(np.corrcoef(total[:, 4], first)[0, 1], abs=1e-6)


def test_what_has_no_variance_has_no_correlation(images):
    gray = replace(
        images,
        images=np.repeat(images.images[:200, :1], 3, axis=1),
        labels=np.arange(200) % 4,
        mean=images.mean[:1] * 3,
        std=images.std[:1] * 3,
    )
    basis = patch_basis(gray, 3)
    assert (basis.variance[9:] == 0).all()
    found = measure(gray, basis)
    for correlations in found.values():
        defined = ~np.isnan(correlations)
        assert defined[..., :9, :4].all()
        assert not defined[..., 9:, :].any()  # grey images have no colour
        assert not defined[..., 4].any()  # no image is of the last class
    table = label_correlation.correlation_table(found["energy"], gray.classes)
    assert len(table) == 9 * 4
    assert set(table["class"]) == set(gray.classes[:4])
    chance = label_correlation.permutation_table("energy", found["permuted"])
    assert np.isfinite(chance[["mean", "largest"]].to_numpy()).all()


@pytest.fixture(scope="module")
def labelled_by_energy(images, basis, tmp_path_factory) -> Result:
    energy = patch_energy(images, basis.components[6])
    made = replace(images, labels=(energy > np.quantile(energy, 0.9)).astype(np.int64), classes=("little", "much"))
    return label_correlation.run(context_of(made, tmp_path_factory.mktemp("energy")))


def test_labels_made_of_a_components_energy_are_found_out(labelled_by_energy):
    image, patch, coefficients = labelled_by_energy.claims
    assert (image.id, patch.id, coefficients.id) == ("T1", "T1.patch", "A2")
    assert image.verdict == "not reproduced"
    assert image.mean > patch.mean  # one patch is a noisy sample of all
    table = labelled_by_energy.tables["energy"]
    top = table.loc[table.correlation.abs().idxmax()]
    assert top.component == 7
    assert f"component 7 with {top['class']!r}, r = {top.correlation:.3f}" in image.note
    of_component = table.query("component == 7").set_index("class").correlation
    assert of_component["little"] == pytest.approx(-of_component["much"])


def test_random_labels_are_uncorrelated(images, tmp_path):
    labels = np.random.default_rng(1).integers(0, 5, len(images))
    result = label_correlation.run(context_of(replace(images, labels=labels), tmp_path))
    assert [claim.verdict for claim in result.claims] == ["reproduced", "reproduced", "holds"]
    assert result.claims[0].replicates == "data set"
    assert "Over 646 training images." in result.claims[0].note
    for quantity in ("energy", "coefficients", "patch"):
        chance = rows_where(result.tables["permuted_labels"], quantity=quantity)
        assert len(chance) == label_correlation.PERMUTATIONS
        assert result.tables[quantity].correlation.abs().mean() == pytest.approx(chance["mean"].mean(), rel=0.3)
    assert result.claims[0].mean == result.tables["energy"].correlation.abs().mean()


def test_one_class_leaves_nothing_to_test(images, tmp_path):
    alone = replace(images, labels=np.zeros(len(images), np.int64))
    result = label_correlation.run(context_of(alone, tmp_path))
    assert [claim.verdict for claim in result.claims] == ["not tested"] * 3
    assert result.claims[0].reason == "no data: no correlation per image is recorded"
    assert not result.figures
    assert not any("nan" in claim.note for claim in result.claims)


def test_only_the_quick_preset_leaves_images_out(tmp_path, monkeypatch):
    monkeypatch.setattr(label_correlation, "QUICK_IMAGES", 100)
    for preset, count in (("quick", 100), ("standard", 646)):
        result = label_correlation.run(small_context(tmp_path, preset))
        assert f"Over {count} training images." in result.claims[0].note


def test_it_is_measured_once(images, tmp_path, monkeypatch):
    first = label_correlation.run(context_of(images, tmp_path))
    monkeypatch.setattr(label_correlation, "measure", None)
    again = label_correlation.run(context_of(images, tmp_path))
    assert again.claims == first.claims


def test_a_record_of_version_0_1_0_shows_what_it_has(images, tmp_path, basis):
    """It has no patches, and permuted labels for the energy only."""
    old = {name: measure(images, basis)[name] for name in ("energy", "coefficients", "permuted")}
    context = context_of(images, tmp_path)
    context.measured("label-correlation", lambda train, test: old, images=646, permutations=20)
    context.basis()
    context.measurements.recorded = True
    result = label_correlation.run(context)
    assert set(result.tables) == {"energy", "coefficients", "permuted_labels"}
    assert set(result.tables["permuted_labels"].quantity) == {"energy"}
    assert len(result.figures["sizes"].figure.axes) == 2
    assert {claim.id: claim.verdict for claim in result.claims} == {
        "T1": "not reproduced",  # photographs of five things
        "T1.patch": "not tested",
        "A2": "not tested",
    }


def test_every_figure_can_be_drawn(labelled_by_energy):
    assert set(labelled_by_energy.figures) == {"correlations", "sizes"}
    assert all(entry.svg.startswith("<?xml") for entry in labelled_by_energy.figures.values())


def test_it_trains_nothing(tmp_path):
    assert label_correlation.EXPERIMENT.plan(small_context(tmp_path)) == []
    assert label_correlation.EXPERIMENT.name == "label-correlation"
