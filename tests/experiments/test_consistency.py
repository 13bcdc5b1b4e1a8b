"""The experiment `consistency`, on runs that were made so that the answer is known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.experiments.made import Filters, finish, small_context

from firstlight.experiments import Claim, Context, Result, consistency
from firstlight.experiments.consistency import Network, Trained
from firstlight.experiments.consistency.claims import comparison_claim, initial_claim, peak_claim
from firstlight.experiments.consistency.comparisons import ARCHITECTURES, SEEDS
from firstlight.experiments.consistency.figures import matrix
from firstlight.experiments.consistency.similarity import correlation_beyond, last_common_step
from firstlight.models import MODELS
from firstlight.patches import PatchBasis
from firstlight.profile import correlation, energy_profile
from firstlight.training import RunSpec, record_steps

METRICS = {"train_loss": 2.0, "train_accuracy": 0.25, "test_loss": 2.1, "test_accuracy": 0.2}
BUMP = np.exp(-(((np.arange(27) - 6) / 3) ** 2)) + 0.1  # peaks at component 7


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Context:
    return small_context(tmp_path_factory.mktemp("consistency"))


@pytest.fixture(scope="module")
def basis(empty) -> PatchBasis:
    return empty.basis()


def made(basis: PatchBasis, profile: Callable[[RunSpec, int], np.ndarray]) -> Filters:
    """Filters whose change since the initialisation has exactly this profile."""

    def filters(spec: RunSpec, step: int) -> np.ndarray:
        rng = np.random.default_rng(spec.seed)
        count = spec.width or MODELS[spec.model].filters
        initial = rng.standard_normal((count, 27))
        signs = rng.choice([-1.0, 1.0], (count, 27))
        change = signs * profile(spec, step) @ basis.components if step else 0.0
        return (initial + change).reshape(count, 3, 3, 3)

    return filters


def alike(spec: RunSpec, step: int) -> np.ndarray:
    """One profile for all, but for a little of each seed's own."""
    return BUMP + 0.01 * np.random.default_rng(100 + spec.seed).random(27)


def unlike(spec: RunSpec, step: int) -> np.ndarray:
    """A profile of its own for every run."""
    return 0.1 + np.random.default_rng(int(spec.hash, 16)).random(27)


def trained(context: Context, profile: Callable[[RunSpec, int], np.ndarray]) -> Context:
    return finish(context, consistency.plan(context), made(context.basis(), profile), **METRICS)


@pytest.fixture(scope="module")
def same(empty) -> Result:
    """All networks learn one profile."""
    return consistency.run(trained(empty, alike))


@pytest.fixture(scope="module")
def different(empty) -> Result:
    """Every network learns its own."""
    return consistency.run(trained(empty, unlike))


def by_name(result: Result) -> dict[str, Claim]:
    claims = result.claims
    found = {claim.name: claim for claim in claims}
    assert len(found) == len(claims) == 16
    assert not any("nan" in claim.note for claim in claims)
    assert all(claim.note for claim in claims)
    return found


def test_the_plan_of_the_quick_preset(empty):
    found = {
        (spec.model, spec.width, spec.data, spec.precision): spec.steps
        for spec in consistency.plan(empty)
        if spec.seed == 1
    }
    assert found == {
        ("vgg11", None, "cifar10", "float32"): 20,
        ("resnet20", None, "cifar10", "float32"): 64,
        ("vgg11", 16, "cifar10", "float32"): 6,
        ("vgg11", 128, "cifar10", "float32"): 6,
        ("vgg13", None, "cifar10", "float32"): 6,
        ("vgg16", None, "cifar10", "float32"): 4,
        ("resnet18", None, "cifar10", "float32"): 3,
        ("resnet32", None, "cifar10", "float32"): 13,
        ("vgg11", None, "photos", "float32"): 6,
        ("resnet20", None, "photos", "float32"): 18,
        ("vgg11", None, "cifar10", "bfloat16"): 6,
        ("resnet20", None, "cifar10", "bfloat16"): 18,
    }
    assert len({spec.hash for spec in consistency.plan(empty)}) == 24


def test_the_full_preset_takes_cifar100_and_the_other_precision(tmp_path):
    specs = consistency.plan(small_context(tmp_path, "full", ("cifar10", "photos", "cifar100")))
    assert len(specs) == 14 * 3
    assert {spec.steps for spec in specs} == {5850}
    others = [(spec.model, spec.precision) for spec in specs if spec.precision != "bfloat16"]
    assert others == [("vgg11", "float32")] * 3 + [("resnet20", "float32")] * 3
    assert sum(spec.data == "cifar100" for spec in specs) == 2 * 3


def test_the_specs_are_those_of_the_recorded_runs(empty):
    train, test = empty.facts()
    described = {"classes": tuple("0123456789"), "mean": (0.4914, 0.4822, 0.4465), "std": (0.2471, 0.2435, 0.2616)}
    fingerprints = {
        "cifar10": (
            "7bbede71881bb47fa2f4b950a2a78172666ee414c7eadffc3961039075a9d246",
            "2db1065f02e674f594299f6d83adcc0aa04ffac6a627bdd4e817d6bc1f50da89",
        ),
        "photos": (
            "5351807b3eb0116673ff61f2e36e7967ed4368d4c55274861f24ebba5bf983b5",
            "d983f113437751cd6d36b5964af28692f24e6261d22bbd0a04b2e6e44d87ecf5",
        ),
    }
    photos = {
        "mean": (0.507810369944853, 0.36919195101868874, 0.32353469381893385),
        "std": (0.26500511418769357, 0.22479638679417155, 0.22347251472020813),
    }
    facts = {
        name: (
            replace(train, name=name, fingerprint=fingerprints[name][0], **changes),
            replace(test, name=name, fingerprint=fingerprints[name][1], count=4000, **changes),
        )
        for name, changes in (("cifar10", described), ("photos", photos))
    }
    context = Context("standard", "cifar10", facts, empty._load, empty.measurements, {}, {})
    hashes = {network.name: [spec.hash for spec in network.specs] for network in consistency.networks(context)}
    assert hashes["vgg11"] == ["ab455e1fb3964c39", "1430dbcf6db44477", "862da5efbcaca229"]
    assert hashes["resnet20"] == ["e20058b0b06f828f", "e30acb0e90bf78b9", "345a643df8710cd1"]
    assert hashes["vgg11-width16"][0] == "f388250fb0541e41"
    assert hashes["vgg11-width128"][0] == "8fb560ad9bd05cd8"
    assert hashes["vgg13"][0] == "87334c9bad79196d"
    assert hashes["vgg16"][0] == "c3b73b142d7658c5"
    assert hashes["resnet18"][0] == "b86da83c21fdf69e"
    assert hashes["resnet32"][0] == "083678c6549c8ac7"
    assert hashes["vgg11-photos"][0] == "975892f56dde00db"
    assert hashes["resnet20-photos"][0] == "6933a9aa4c77e423"


def test_networks_that_learn_one_profile_reproduce_every_claim(same):
    found = by_name(same)
    tested = {name: claim for name, claim in found.items() if name != "consistency/data/cifar100"}
    assert {claim.verdict for claim in tested.values()} == {"reproduced"}
    assert found["consistency/vgg11/across-seeds"].mean == pytest.approx(1, abs=1e-3)
    assert len(found["consistency/vgg11/across-seeds"].values) == 1
    assert len(found["consistency/vgg11/across-widths"].values) == 3 * 4
    assert len(found["consistency/architectures/vgg11-vgg16"].values) == 4
    assert found["consistency/resnet20/peak"].values == (7, 7)


def test_networks_that_learn_profiles_of_their_own_do_not(different):
    found = by_name(different)
    for name in (
        "vgg11/across-seeds",
        "resnet20/across-seeds",
        "vgg11/across-widths",
        *(f"architectures/vgg11-{model}" for model in ("vgg13", "vgg16", "resnet18", "resnet20", "resnet32")),
        "data/photos",
    ):
        assert found[f"consistency/{name}"].verdict == "not reproduced"


def test_a_first_layer_that_grows_as_it_was_is_not_far_from_its_initialisation(empty, basis):
    def grown(spec: RunSpec, step: int) -> np.ndarray:
        initial = np.random.default_rng(spec.seed).standard_normal((spec.width or MODELS[spec.model].filters, 27))
        return energy_profile(initial.reshape(-1, 3, 3, 3), basis).energy

    claim = by_name(consistency.run(trained(empty, grown)))["consistency/vgg11/against-init"]
    assert claim.verdict == "not reproduced"
    assert claim.values == pytest.approx((1.0, 1.0))


def test_an_early_profile_is_lambda_and_its_peak_is_not_intermediate(empty, basis):
    found = by_name(consistency.run(trained(empty, lambda spec, step: np.sqrt(basis.variance))))
    assert found["consistency/vgg11/peak"].verdict == "not reproduced"
    note = found["consistency/architectures/vgg11-vgg13"].note
    assert "Correlation with λ alone: VGG11 1.000, VGG13 1.000." in note
    assert "what λ leaves unexplained correlates undefined" in note


def test_networks_are_compared_at_the_last_step_that_both_recorded(empty, basis):
    def turning(spec: RunSpec, step: int) -> np.ndarray:
        return BUMP if step <= 6 else BUMP[::-1]

    result = consistency.run(trained(empty, turning))
    pairs = result.tables["pairs"].set_index(["network_a", "network_b"])
    steps = pairs.step.groupby(level=[0, 1]).unique().map(list).to_dict()
    assert steps["vgg11", "vgg13"] == [6]
    assert steps["vgg11", "resnet20"] == [18]
    assert steps["vgg16", "resnet18"] == [3]
    assert steps["vgg11", "vgg11"] == [20]
    rows, turned = pairs.loc[("vgg11", "vgg13")], correlation(BUMP, BUMP[::-1])
    assert rows.correlation.to_numpy() == pytest.approx(1)
    assert rows.correlation_at_ends.to_numpy() == pytest.approx(turned)
    note = by_name(result)["consistency/architectures/vgg11-vgg13"].note
    assert f"At step 6, the last that both recorded (at the last step of each: {turned:.3f})" in note


@given(st.integers(1, 6000), st.integers(1, 6000))
def test_the_last_common_step_is_the_one_found_by_looking(a, b):
    runs = [Trained(*[None] * 3, dict.fromkeys(record_steps(steps)[1:])) for steps in (a, b)]  # type: ignore[arg-type]
    expected = [step for step in record_steps(a) if step in record_steps(b) and step > 0][-1]
    assert last_common_step(*runs) == expected


@given(st.integers(0, 2**32 - 1), st.integers(4, 40))
def test_what_is_left_beyond_lambda_is_the_correlation_of_regression_residuals(seed, size):
    rng = np.random.default_rng(seed)
    a, b, known_a, known_b = rng.random((4, size)) + 0.1
    residuals = []
    for profile, known in ((a, known_a), (b, known_b)):
        design = np.stack([known, np.ones(size)], axis=1)
        residuals.append(profile - design @ np.linalg.lstsq(design, profile)[0])
    assert correlation_beyond(a, known_a, b, known_b) == pytest.approx(np.corrcoef(*residuals)[0, 1], abs=1e-6)
    assert correlation_beyond(3 * a + 1, known_a, b, 5 * known_b) == pytest.approx(
        correlation_beyond(a, known_a, b, known_b), abs=1e-6
    )
    assert np.isnan(correlation_beyond(2 * known_a + 1, known_a, b, known_b))


def test_the_precision_is_judged_against_the_spread_between_seeds(empty):
    def profile(spec: RunSpec, step: int) -> np.ndarray:
        own = np.random.default_rng([spec.seed, spec.precision == "bfloat16" and spec.model == "resnet20"])
        return BUMP + 0.2 * own.random(27)

    found = by_name(consistency.run(trained(empty, profile)))
    between_seeds = found["consistency/vgg11/across-seeds"].mean
    # VGG11's precisions agree exactly; ResNet20's differ as much as its seeds do, up to chance.
    assert found["consistency/vgg11/precision"].values == pytest.approx([1 - between_seeds] * 2)
    assert found["consistency/vgg11/precision"].verdict == "reproduced"
    assert abs(found["consistency/resnet20/precision"].mean) < 0.1


@pytest.mark.parametrize("comparison", [*SEEDS, *ARCHITECTURES])
def test_the_criteria_on_correlations_are_where_they_were_fixed(comparison):
    assert comparison.least == (0.9 if comparison.name == "vgg11/across-seeds" else 0.8)
    assert comparison_claim(comparison, [comparison.least], "").verdict == "reproduced"
    assert comparison_claim(comparison, [comparison.least - 1e-6], "").verdict == "not reproduced"


@pytest.mark.parametrize(("value", "verdict"), [(0.23, "reproduced"), (0.231, "not reproduced"), (-1.0, "reproduced")])
def test_the_criterion_on_the_initialisation(same, value, verdict):
    rows = same.tables["networks"].query("network == 'vgg11'").assign(against_initial=value)
    assert initial_claim("vgg11", rows, same.tables["random_pairs"], "").verdict == verdict


def test_the_criterion_on_the_peak(same):
    rows = same.tables["networks"].query("network == 'vgg11'")

    def verdict(*peaks: int) -> str:
        return peak_claim("vgg11", rows.assign(peak_component=peaks), 27, "").verdict

    assert [verdict(1, 1), verdict(27, 27)] == ["not reproduced"] * 2
    assert [verdict(1, 2), verdict(5, 5), verdict(26, 27)] == ["reproduced"] * 3


def test_data_that_cannot_be_had_is_not_tested_and_all_else_is(tmp_path):
    found = by_name(consistency.run(trained(small_context(tmp_path, names=("cifar10",)), alike)))
    assert found["consistency/data/cifar100"].note == "CIFAR-100 cannot be had here."
    assert found["consistency/data/photos"].note == "The set of photographs cannot be had here."
    assert found["consistency/data/photos"].verdict == "not tested"
    assert found["consistency/vgg11/across-widths"].verdict == "reproduced"


def test_the_main_data_set_is_not_compared_with_itself(tmp_path):
    context = small_context(tmp_path, names=("photos", "cifar10", "cifar100"))
    assert {spec.data for spec in consistency.plan(context)} == {"photos"}  # quick leaves CIFAR-100 out
    assert consistency.absence_reason(context, "photos") == "The set of photographs is the main data set itself."
    assert consistency.absence_reason(context, "cifar100") == "The preset quick does not train on CIFAR-100."


def test_gray_images_share_no_component_with_colour(empty):
    train, test = empty.facts()
    facts = {
        "gray": (replace(train, name="gray", channels=1, mean=(0.5,), std=(0.2,)), test),
        "photos": (train, test),
    }
    context = Context("quick", "gray", facts, empty._load, empty.measurements, {}, {})
    assert "3 channels and those of the main data set 1" in consistency.absence_reason(context, "photos")


def test_a_failed_training_takes_down_only_the_claims_that_need_it(empty):
    context = trained(empty, alike)
    failed = next(spec for spec in consistency.plan(context) if spec.width == 16 and spec.seed == 1)
    del context.finished[failed.hash]
    context.failures[failed.hash] = "the training diverged"
    found = by_name(consistency.run(context))
    expected = "Not all of VGG11, 16 filters was trained: vgg11, seed 1: the training diverged."
    assert found["consistency/vgg11/across-widths"].note == expected
    untested = {name for name, claim in found.items() if claim.verdict == "not tested"}
    assert untested == {"consistency/vgg11/across-widths", "consistency/data/cifar100"}


def test_without_any_run_nothing_is_tested_and_nothing_fails(empty):
    result = consistency.run(empty)
    assert {claim.verdict for claim in by_name(result).values()} == {"not tested"}
    assert result.figures == {}


def test_a_layer_that_has_not_moved_has_no_profile(empty):
    found = by_name(consistency.run(trained(empty, lambda spec, step: np.zeros(27))))
    assert {claim.verdict for claim in found.values()} == {"not tested"}
    assert found["consistency/vgg11/peak"].note.startswith("By seed: none, none.")


def test_random_banks_have_profiles_that_are_alike_by_chance_only(basis):
    table = consistency.bank_table(basis)
    assert len(table) == 6
    assert table["mean"].to_numpy() == pytest.approx(0, abs=0.03)
    # Of 27 independent numbers: Student's t with 25 degrees of freedom.
    assert table.percentile_95.to_numpy() == pytest.approx(1.708 / np.sqrt(25 + 1.708**2), abs=0.04)
    rng = np.random.default_rng(1)
    banks = rng.standard_normal((300, 2, 16, 3, 3, 3))
    scores = [energy_profile(a, basis).correlation(energy_profile(b, basis)) for a, b in banks]
    assert np.percentile(scores, 95) == pytest.approx(table.percentile_95[0], abs=0.06)


def test_the_matrix_holds_every_pair_once_and_is_symmetric(different):
    pairs = different.tables["pairs"]
    assert len(pairs) == 24 * 23 / 2
    names = ["resnet32", "vgg11"]
    table = matrix(pairs.query("network_a in @names and network_b in @names"), names)
    rows = pairs.query("network_a == 'vgg11' and network_b == 'resnet32'")
    seeds = pairs.query("network_a == 'vgg11' and network_b == 'vgg11'")
    assert table[1] == pytest.approx([np.mean(rows.correlation), np.mean(seeds.correlation)])
    assert table[0, 1] == table[1, 0]


def test_the_figures_show_every_network(same):
    figures = same.figures
    assert set(figures) == {
        "profiles_architectures",
        "profiles_widths",
        "profiles_data",
        "correlations",
        "over_steps",
        "filters",
    }
    first, second = figures["profiles_architectures"].figure.axes[:2]
    assert first.get_title() == "step 3, the last that all recorded"
    legend = second.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["random initialisation", "λ", "VGG11", "VGG13", "VGG16", "ResNet18", "ResNet20", "ResNet32"]
    cells = figures["correlations"].figure.axes[0].texts
    assert len(cells) == 12 * 12
    assert {text.get_text() for text in cells} == {"1.00"}


def test_every_network_has_a_name_and_title_of_its_own(empty):
    networks: list[Network] = consistency.networks(empty)
    assert len({network.name for network in networks}) == len({network.title for network in networks}) == 12
    titles = {network.name: network.title for network in networks}
    assert titles["vgg11-width16"] == "VGG11, 16 filters"
    assert titles["resnet20-photos"] == "ResNet20 on photos"
    assert titles["vgg11-bfloat16"] == "VGG11, bfloat16"
