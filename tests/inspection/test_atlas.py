"""The atlas: entries are what `inspect` measures, places are counted by hand, and no file is more than an error."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import firstlight as fl
from firstlight.errors import SourceError
from firstlight.inspection.atlas import (
    FEWEST,
    described,
    leave_one_out,
    read_atlas,
    shipped_atlas,
    standing,
    write_atlas,
)
from firstlight.inspection.known import Known
from firstlight.reproduction.shipped_record import recorded_results

CHECKPOINTS = Path(__file__).parents[3] / "shared" / "data" / "checkpoints"
PUBLISHED = {"ResNet20 of akamaster": "resnet20-12fca82f.th", "ResNet32 of akamaster": "resnet32-d509ac18.th"}


def made(name: str, energy: np.ndarray, family: str = "a", **changes) -> Known:
    values = {"change": False, "kernel": (3, 3), "filters": 16, "fit": 0.5, "rank": 0.5, "whitening": 1.0}
    return Known(name=name, family=family, source="here", energy=tuple(energy), **{**values, **changes})


def shapes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1, (count, 27))


def test_the_shipped_atlas_says_where_everything_is_from_and_has_no_weights():
    known = shipped_atlas()
    assert len({one.name for one in known}) >= 20
    assert all(one.source and one.name and one.family for one in known)
    assert all(max(one.energy) == 1 and len(one.energy) == 3 * one.kernel[0] * one.kernel[1] for one in known)


@pytest.mark.recorded
def test_recorded_entries_are_what_inspect_measures():
    runs = [fl.Run.load(path) for path in sorted((recorded_results() / "runs").iterdir())[:4]]
    for run in runs:
        for initial in (None, run.initial):
            found = fl.inspect(run.final, initial=initial)
            alike = [one for one in shipped_atlas() if len(one.energy) == found.basis.size]
            (entry,) = [one for one in alike if np.allclose(one.energy, found.profile.normalized, atol=1e-5)]
            assert found.fit is not None
            assert entry.fit == pytest.approx(found.fit.correlation, abs=1e-5)
            assert entry.change == (initial is not None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_entries_are_what_inspect_measures_and_themselves_left_out(name: str):
    path = CHECKPOINTS / PUBLISHED[name]
    if not path.exists():
        pytest.skip("the published checkpoint is not beside the repository")
    found = fl.inspect(path)
    (entry,) = [one for one in shipped_atlas() if one.name == name]
    np.testing.assert_allclose(entry.energy, found.profile.normalized, atol=1e-5)
    assert found.standing is not None
    assert found.standing.nearest.name != name
    assert found.standing.chance < found.standing.correlation < 1 - 1e-6


def test_places_are_counted_by_network_and_not_by_run():
    bank = np.random.default_rng(3).normal(size=(16, 3, 3, 3)) * np.linspace(1, 4, 16)[:, None, None, None]
    found = fl.inspect(bank)
    energies = shapes(8)
    known = [made(str(number), energy, rank=number / 10) for number, energy in enumerate(energies)]
    known += [made("0", energies[0], rank=0.0) for _ in range(20)]  # runs of one network
    near = found.profile.normalized * np.linspace(1, 1.1, 27)
    known.append(made("near", near, rank=0.9, fit=None))
    known.append(made("itself", found.profile.normalized))
    place = standing(found, known)
    assert place is not None
    assert (place.nearest.name, place.networks) == ("near", 9)
    assert 0.9 < place.correlation < 1
    own = found.rank / 16
    assert place.shares["rank"] == sum(value < own for value in [*np.arange(8) / 10, 0.9]) / 9
    assert place.shares["fit"] in (0, 1)  # all that is known is 0.5
    assert 0 < place.chance < 1


def test_nothing_is_said_where_few_are_known_or_other_patches_were_used():
    bank = np.random.default_rng(0).normal(size=(16, 3, 3, 3))
    found = fl.inspect(bank)
    assert standing(found, [made(str(number), energy) for number, energy in enumerate(shapes(FEWEST - 1))]) is None
    several = [made(str(number), energy) for number, energy in enumerate(shapes(FEWEST))]
    assert standing(found, several) is not None
    assert standing(found, [replace(one, change=True) for one in several]) is None
    assert fl.inspect(bank, mean=0.5, std=0.5).standing is None
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16), dtype=np.uint8)
    assert fl.inspect(bank, images, progress=False).standing is None
    assert fl.inspect(np.random.default_rng(0).normal(size=(16, 3, 9, 9))).standing is None


def test_what_is_like_nothing_known_is_said_to_be():
    energy = np.ones(27)
    energy[::4] = 6
    basis = fl.patch_statistics().basis(fl.FilterBank(np.zeros((1, 3, 3, 3))))
    random = np.random.default_rng(0).normal(size=(64, 27))
    bank = ((random * energy / np.sqrt(np.mean(random**2, axis=0))) @ basis.components).reshape(64, 3, 3, 3)
    flat = [made(str(number), 1 + 0.1 * shape) for number, shape in enumerate(np.roll(energy, n) for n in range(1, 3))]
    flat += [made(f"more {number}", shape) for number, shape in enumerate(shapes(3))]
    (said,) = [str(one) for one in fl.inspect(bank, atlas=flat).findings if one.code == "standing"]
    assert "like none of 5 known networks" in said


def test_an_untrained_layer_has_no_place():
    codes = [one.code for one in fl.inspect(np.random.default_rng(0).normal(size=(64, 3, 3, 3))).findings]
    assert codes[0] == "untrained"
    assert "standing" not in codes


def test_leaving_one_out_finds_families_that_are_there_and_none_that_are_not():
    rng = np.random.default_rng(0)
    centres = shapes(4, seed=5)
    known = [
        made(f"{family} {number}", centres[family] + 0.01 * rng.normal(size=27), family=str(family))
        for family in range(4)
        for number in range(6)
    ]
    found = leave_one_out(known)
    assert (found.entries, found.same) == (24, 24)
    assert found.chance == pytest.approx(5 / 23)
    shuffled = [replace(one, family=str(rng.integers(4))) for one in known]
    assert leave_one_out(shuffled).same < 14
    assert leave_one_out(known[:1]).entries == 0


def test_runs_of_one_network_are_left_out_together():
    energies = shapes(2)
    known = [made("one", energies[0]), made("one", energies[0]), made("other", energies[1], family="b")]
    assert leave_one_out(known).same == 0


def test_a_collection_is_read_as_it_was_written(tmp_path: Path):
    known = [made("z", shapes(1)[0]), made("ä", shapes(1, 1)[0], fit=None, whitening=None, change=True)]
    path = tmp_path / "mine.json"
    write_atlas(path, known)
    assert sorted(read_atlas(path), key=str) == sorted(known, key=str)
    assert len(described(read_atlas(path))) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"filters": "16"}, {"filters": None}, {"kernel": [float("inf"), 3]}, {"energy": [10**400] * 27},
        {"rank": 10**400}, {"fit": 1e300}, {"energy": [1e308] * 27}, {"energy": [True] * 27}, {"source": {}},
        {"change": 1}, {"more": 1},
    ],
)  # fmt: skip
def test_an_entry_of_another_kind_is_refused(tmp_path: Path, change):
    path = tmp_path / "mine.json"
    write_atlas(path, [made("a", shapes(1)[0])])
    data = json.loads(path.read_text())
    data["networks"][0] |= change
    path.write_text(json.dumps(data))
    with pytest.raises(SourceError, match="is damaged, or no atlas"):
        read_atlas(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_collection_is_an_error_of_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("atlas") / "mine.json"
    write_atlas(path, [made("a", shapes(1)[0])])
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:start] + data.draw(st.binary(max_size=5)) + whole[start + 3 :])
    else:
        leaves = st.none() | st.booleans() | st.floats() | st.text()
        nested = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
        values = data.draw(nested)
        path.write_text(json.dumps({"format": 1, "networks": values}))
    with contextlib.suppress(SourceError):  # and no other error
        read_atlas(path)
