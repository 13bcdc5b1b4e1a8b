"""compare: the correlation matrix, its chance level, and kernels of different size."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import firstlight as fl
from firstlight.errors import InputError
from firstlight.figures.axes import new_figure
from firstlight.figures.colours import ON_DARK
from firstlight.filters import FilterBank
from firstlight.inspection.views import comparison_views
from firstlight.patches.shipped import shipped_moments
from firstlight.profile import correlation

NORMAL = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
BASIS = shipped_moments(3).basis(*NORMAL)
seeds = st.integers(0, 2**32 - 1)


def random(seed: int, *shape: int) -> FilterBank:
    return FilterBank(np.random.default_rng(seed).normal(size=shape), source=f"net{seed}")


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_matrix_holds_the_correlations_of_the_profiles(seed: int):
    banks = [random(seed + i, 8 * (i + 1), 3, 3, 3) for i in range(3)]
    found = fl.compare(banks, BASIS)
    profiles = [fl.energy_profile(bank, BASIS).energy for bank in banks]
    for i in range(3):
        for j in range(3):
            expected = 1 if i == j else correlation(profiles[i], profiles[j])
            assert found.correlations[i, j] == pytest.approx(expected, abs=1e-12)
    assert found.labels == tuple(bank.source for bank in banks)
    assert found.note == ""


def test_the_change_is_compared_where_the_initial_filters_are_given():
    start, step = random(0, 8, 3, 3, 3), random(1, 8, 3, 3, 3)
    a = FilterBank(start.weight + step.weight)
    found = fl.compare([a, step], BASIS, initial=[start, None])
    assert found.correlations[0, 1] == pytest.approx(1)


def test_larger_kernels_are_measured_by_every_window_inside_their_filters():
    small, large = random(0, 8, 3, 3, 3), random(1, 4, 3, 7, 5)
    found = fl.compare([small, large], BASIS)
    energy = np.zeros(27)
    for filter_ in large.weight:  # as the definition says, one window after the other
        for row in range(5):
            for column in range(3):
                window = filter_[:, row : row + 3, column : column + 3].ravel()
                energy += (BASIS.components @ window) ** 2
    np.testing.assert_allclose(found.profiles[1].energy, np.sqrt(energy / (4 * 15)), rtol=1e-12)
    assert "matching spatial frequency" in found.note
    assert "3 x 3, 7 x 5" in found.note
    assert found.profiles[1].filters == 4


def test_gratings_of_one_frequency_are_alike_in_kernels_of_different_size():
    """A grating has its energy in the same components whether 3 x 3 or 7 x 7 taps hold it, unlike by rank."""

    def gratings(size: int, frequency: float) -> FilterBank:
        x = np.arange(size)
        waves = [np.cos(2 * np.pi * frequency * x + phase) for phase in np.linspace(0, np.pi, 16)]
        return FilterBank(np.stack([np.broadcast_to(wave, (3, size, size)) for wave in waves]))

    same = fl.compare([gratings(3, 0.45), gratings(7, 0.45)], BASIS).correlations[0, 1]
    other = fl.compare([gratings(3, 0.45), gratings(7, 0.05)], BASIS).correlations[0, 1]
    assert same > 0.95
    assert other < 0.3


def test_chance_is_what_random_pairs_reach_one_time_in_twenty():
    chance = fl.compare([random(0, 8, 3, 3, 3), random(1, 16, 3, 3, 3)], BASIS).chance
    first, second = (
        [fl.energy_profile(random(2 * i + at, 8 * (1 + at), 3, 3, 3), BASIS) for i in range(200)] for at in (0, 1)
    )
    above = np.mean([a.correlation(b) > chance for a, b in zip(first, second, strict=True)])
    assert 0.01 <= above <= 0.11  # 5% +- four standard errors


def test_a_constant_profile_correlates_with_nothing_and_becomes_null_in_json():
    flat = FilterBank(BASIS.images)  # each component once
    zero = FilterBank(np.zeros((4, 3, 3, 3)))
    found = fl.compare([random(0, 8, 3, 3, 3), zero, flat], BASIS)
    assert np.isnan(found.correlations[0, 1])
    assert found.to_dict()["correlations"][0][1] is None
    assert found.correlations[1, 1] == 1


def learnt(tau: float, size: int = 3) -> FilterBank:
    """A bank of the profile that eq. 3 gives a linear CNN."""
    basis = shipped_moments(size).basis(*NORMAL)
    energy = fl.linear_cnn_profile(basis.variance, tau)
    return FilterBank((energy[:, None] * basis.components).reshape(-1, 3, size, size))


def drawn(kind: str, seed: int) -> FilterBank:
    rng = np.random.default_rng(seed)
    weight = {
        "normal": lambda: rng.normal(size=(64, 3, 3, 3)),
        "positive": lambda: rng.random((64, 3, 3, 3)),
        "positive, of 7 x 7": lambda: rng.random((64, 3, 7, 7)),
        "constant within each channel": lambda: rng.normal(size=(64, 3, 1, 1)) * np.ones((3, 3)),
        "grey": lambda: np.repeat(rng.normal(size=(64, 1, 3, 3)), 3, axis=1),
    }[kind]()
    return FilterBank(weight)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("normal", "normal", False),
        ("positive", "positive", True),
        ("positive", "positive, of 7 x 7", True),
        ("constant within each channel", "constant within each channel", True),
        ("grey", "grey", True),
    ],
)
def test_random_banks_are_never_said_to_have_learnt_alike(one: str, other: str, alike: bool):
    found = fl.compare([drawn(one, 0), drawn(other, 1)], BASIS)
    assert (found.correlations[0, 1] > found.chance) == alike
    assert found.is_beyond_chance(0, 1) is (None if alike else False)
    assert set(found.doubts) == {"grey-input" if one == "grey" else "untrained"}
    assert not any(view.learnt for view in comparison_views(found))
    assert "what they share need not be learnt" in found.caveats[0][1]


def test_banks_are_doubted_as_inspect_doubts_them():
    banks = [learnt(1.0), learnt(1.2), drawn("positive", 0), drawn("grey", 0), FilterBank(np.zeros((4, 3, 3, 3)))]
    found = fl.compare(banks, BASIS, labels=list("abcde"))
    assert found.doubts == (None, None, "untrained", "grey-input", "all-zero")
    assert found.doubts == tuple(fl.inspect(bank).doubt for bank in banks)
    assert found.is_beyond_chance(0, 1) is True
    assert [view.learnt for view in comparison_views(found)] == [True, True, False, None, False]
    assert found.caveats == [
        (w, f"{x}: what it shares need not be learnt") for w, x in (("untrained", "c"), ("sees grey", "d"))
    ]
    assert found.to_dict()["doubts"] == list(found.doubts)
    assert fl.compare(banks[:2], BASIS).caveats == []


def test_trained_banks_with_larger_kernels_are_not_doubted():
    assert fl.compare([learnt(1.0), learnt(1.0, size=5)], BASIS).doubts == (None, None)


def test_of_a_change_it_is_asked_whether_that_looks_random():
    start = drawn("normal", 0)
    moved, random = (
        FilterBank(start.weight[:27] + learnt(1.0).weight),
        FilterBank(start.weight + drawn("normal", 1).weight),
    )
    found = fl.compare([moved, random, start], BASIS, initial=[FilterBank(start.weight[:27]), start, start])
    assert found.doubts == (None, "untrained", "not-moved")


def test_names_that_occur_twice_are_numbered():
    banks = [random(0, 4, 3, 3, 3), random(0, 4, 3, 3, 3), random(1, 4, 3, 3, 3)]
    assert fl.compare(banks, BASIS).labels == ("net0 (1)", "net0 (2)", "net1")
    assert fl.compare(banks, BASIS, labels=["a", "b", "c"]).labels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("banks", "message"),
    [
        ([random(0, 4, 3, 3, 3)], "given 1 filter bank"),
        (
            [random(0, 4, 3, 3, 3), random(1, 4, 1, 3, 3)],
            "^net1 sees 1 channel, net0 3; expected the same of all that are compared: leave one of them out, or add "
            "up the channels of net0, for how it sees grey images$",
        ),
        ([random(0, 4, 1, 3, 3), random(1, 4, 3, 3, 3)], "net1 sees 3 channels, net0 1; .* the channels of net1"),
        ([random(0, 4, 3, 3, 3), random(1, 4, 4, 3, 3)], "net1 sees 4 channels, net0 3; .* one of them out$"),
        ([random(0, 4, 1, 3, 3), random(1, 4, 1, 3, 3)], "expected 3 channels and at least 3 x 3, the patches"),
        ([random(0, 4, 3, 3, 3), random(1, 4, 3, 2, 5)], "at least 3 x 3"),
        ([random(0, 4, 3, 3, 3), FilterBank(np.ones((1, 3, 5, 5)), dilation=(2, 2))], "dilation"),
    ],
)
def test_what_cannot_be_compared_is_named(banks: list[FilterBank], message: str):
    with pytest.raises(InputError, match=message):
        fl.compare(banks, BASIS)


def test_as_many_labels_and_initial_filters_as_banks():
    banks = [random(i, 4, 3, 3, 3) for i in range(2)]
    with pytest.raises(InputError, match="expected 2, as banks"):
        fl.compare(banks, BASIS, labels=["one"])
    with pytest.raises(InputError, match="expected 2, as banks"):
        fl.compare(banks, BASIS, initial=[None])


def test_it_becomes_a_table_and_two_figures(tmp_path: Path):
    banks = [random(i, 4, 3, 3, 3) for i in range(2)]
    found = fl.compare(banks, BASIS, labels=["$x$ <b>", "_hidden"])
    frame = found.to_frame()
    assert list(frame.index) == list(frame.columns) == ["$x$ <b>", "_hidden"]
    np.testing.assert_array_equal(frame.to_numpy(), found.correlations)
    for draw in (found.plot, found.plot_profiles):
        fig, _ = draw()
        fig.savefig(tmp_path / "figure.svg")
        text = (tmp_path / "figure.svg").read_text()
        assert "<b>" not in text
    (beside,) = found.plot_profiles()[0].legends
    _, (ax,) = new_figure()
    own = found.plot_profiles(ax)[1].get_legend()
    assert own is not None
    assert len(beside.get_texts()) == len(own.get_texts()) == 2


def test_the_heat_map_says_where_nothing_is_defined_in_the_colour_of_the_page():
    found = fl.compare([random(0, 4, 3, 3, 3), np.zeros((4, 3, 3, 3))], BASIS, labels=["random", "dead"])
    cells = {(text.get_text(), text.get_color()) for text in found.plot()[1].texts}
    assert cells == {("1.00", ON_DARK), ("-", "black")}


def test_both_theories_are_fitted_to_each_bank_of_the_patches_size():
    banks = [np.random.default_rng(seed).normal(size=(8, 3, size, size)) for seed, size in ((0, 3), (1, 3), (2, 5))]
    found = fl.compare(banks, "cifar10")
    alone = fl.fit_theory(banks[0]).composition
    assert found.theories[0] is not None
    assert found.theories[0].composition is not None
    assert alone is not None
    assert found.theories[0].composition.correlation == pytest.approx(alone.correlation)
    assert found.theories[2] is None  # seen through windows
    written = found.to_dict()["theories"]
    assert (written[0]["better"], written[2]) == ("", None)  # untrained
    assert found.described.startswith("eq. 3 r = ")
