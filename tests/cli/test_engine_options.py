"""The options that say where tasks run."""

import contextlib

import pytest

from firstlight.cli.engine_options import HERE, Where
from firstlight.errors import EngineError, InputError


def test_by_default_tasks_run_here():
    HERE.check()
    with Where(workers=1).open() as engine:
        assert engine.describe() == "this process"
    with HERE.open_elsewhere() as engine:
        assert engine is None


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Where(scheduler="tcp://node:1"), "--scheduler is 'tcp://node:1'; expected --engine dask with it"),
        (Where(resources=["GPU=1"]), "--resources is 'GPU=1'; expected --engine dask with it"),
        (Where("dask", resources=["A=1", "GPU"]), "--resources is 'GPU'; expected names and numbers above 0"),
        (Where("dask", resources=["GPU=0"]), "--resources is 'GPU=0'; expected"),
        (Where("dask", resources=["GPU=nan"]), "--resources is 'GPU=nan'; expected"),
        (Where("dask", resources=["=1"]), "--resources is '=1'; expected"),
    ],
)
@pytest.mark.parametrize("way", [Where.check, Where.open, Where.open_elsewhere])
def test_options_that_are_none_are_refused_before_anything_is_opened(where, message, way):
    with pytest.raises(InputError) as caught:
        way(where)
    assert str(caught.value).startswith(message)


def test_workers_on_this_machine_are_jobs_where_a_command_has_those():
    with pytest.raises(InputError, match="--workers is 3; expected --engine dask with it: on this machine give --jobs"):
        Where(workers=3).open_elsewhere()


def test_the_cluster_is_the_one_that_is_named():
    pytest.importorskip("distributed")
    where = Where("dask", "nonsense://node1:1", resources=["GPU=0.5", "big=2"])
    assert where._resources() == {"GPU": 0.5, "big": 2.0}
    for way in (where.open, where.open_elsewhere):
        with pytest.raises(EngineError, match="no Dask scheduler answers at nonsense://node1:1"):
            contextlib.ExitStack().enter_context(way())
