"""Networks of which only the accuracy is needed are not trained again where that is recorded."""

import pytest
from tests.experiments.made import small_context
from tests.experiments.test_initialisation import trained

from firstlight.errors import RunError
from firstlight.experiments import EXPERIMENTS, Context, initialisation
from firstlight.reproduction import shipped_record
from firstlight.reproduction.folder import MEASUREMENTS
from firstlight.reproduction.shipped_record import take_recorded_accuracy

EXPERIMENT = EXPERIMENTS["initialisation"]


def take(context: Context) -> int:
    return take_recorded_accuracy(
        [context.accuracy_file(name).name for name in EXPERIMENT.networks], context.measurements.folder
    )


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A record of FastNet alone, and what it was made of."""
    names = [name for name in EXPERIMENT.networks if name.startswith("fastnet")]
    done = trained(small_context(tmp_path / "recorded", names=("cifar10",)), 0.05, names=names)
    result = initialisation.run(done)
    (tmp_path / "recorded" / "measurements").rename(tmp_path / "recorded" / MEASUREMENTS)
    monkeypatch.setattr(shipped_record, "recorded_results", lambda: tmp_path / "recorded")
    return result


def test_what_is_recorded_is_taken_and_the_rest_is_planned(recorded, tmp_path):
    context = small_context(tmp_path / "new", names=("cifar10",))
    assert take(context) == 18
    assert {spec.model for spec in EXPERIMENT.plan(context)} == {"resnet20", "vgg11"}
    again = {claim.id: claim.to_dict() for claim in initialisation.run(context).claims}
    for claim in recorded.claims:
        if claim.id.endswith("fastnet"):
            assert claim.verdict != "not tested"
            assert again[claim.id] == claim.to_dict()
    assert take(context) == 0  # they are there


def test_of_other_data_nothing_is_taken(recorded, tmp_path):
    context = small_context(tmp_path / "new", names=("photos",))
    assert take(context) == 0


def test_a_store_that_cannot_be_written_is_named(recorded, tmp_path):
    (tmp_path / "new").write_text("a file")
    context = small_context(tmp_path / "new", names=("cifar10",))
    with pytest.raises(RunError, match="cannot be written"):
        take(context)
