"""NetworkView: a profile with its fit, or the reason why there is none."""

import numpy as np
import pytest

import firstlight as fl
from firstlight.inspection.network_view import NetworkView, Snapshot, opening
from firstlight.patches.shipped import shipped_moments
from firstlight.profile import EnergyProfile

BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))


def test_a_snapshot_holds_the_fit_of_its_profile():
    profile = fl.energy_profile(np.random.default_rng(0).normal(size=(8, 3, 3, 3)), BASIS)
    found = Snapshot.of(profile, BASIS, step=3)
    assert found.fit is not None
    assert found.fit.tau == fl.fit_formula(profile, BASIS).tau
    assert (found.step, found.unfitted) == (3, "")


@pytest.mark.parametrize(
    ("energy", "reason"),
    [(np.zeros(27), "constant"), (np.full(27, 2.0), "constant"), (np.full(27, np.nan), "NaN")],
)
def test_where_nothing_can_be_fitted_the_reason_is_kept(energy, reason):
    found = Snapshot.of(EnergyProfile(energy, 1), BASIS)
    assert found.fit is None
    assert reason in found.unfitted


def test_the_network_as_it_is_comes_last():
    profiles = [EnergyProfile(np.arange(27.0) + start, 1) for start in (0, 1)]
    snapshots = [Snapshot.of(profile, BASIS, step) for step, profile in enumerate(profiles, start=1)]
    view = NetworkView("net", BASIS, snapshots, np.ones((1, 3, 3, 3)))
    assert view.final.step == 2


def test_a_page_opens_on_a_trained_network_if_there_is_one():
    def view(learnt: bool | None, energy: np.ndarray) -> NetworkView:
        snapshots = [Snapshot.of(EnergyProfile(energy, 1), BASIS)]
        return NetworkView("net", BASIS, snapshots, np.ones((1, 3, 3, 3)), learnt=learnt)

    rising, flat = np.arange(27.0), np.ones(27)
    assert opening([view(False, rising), view(None, rising), view(True, flat), view(True, rising)]) == 3
    assert opening([view(False, rising), view(True, flat)]) == 1
    assert opening([view(False, rising), view(None, flat), view(None, rising)]) == 2
    assert opening([view(False, rising), view(False, rising)]) == 0
    assert opening([]) == 0


@pytest.mark.parametrize(
    ("learning", "label"),
    [
        ({}, "net"),
        ({"train_accuracy": np.array([0.1, 0.943])}, "net · 94% training accuracy"),
        ({"train_accuracy": np.array([0.1, np.nan])}, "net"),  # nobody looked at the end
    ],
)
def test_a_label_tells_the_accuracy_at_the_end_where_it_is_known(learning, label):
    snapshots = [Snapshot.of(EnergyProfile(np.arange(27.0), 1), BASIS)]
    assert NetworkView("net", BASIS, snapshots, np.ones((1, 3, 3, 3)), learning=learning).label == label
