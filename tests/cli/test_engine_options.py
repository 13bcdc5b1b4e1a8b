"""The options that say where tasks run."""

import contextlib

import pytest

from firstlight.cli.engine_options import LOCAL, EngineOptions
from firstlight.errors import EngineError, InputError


def test_by_default_tasks_run_here():
    LOCAL.check()
    with EngineOptions(workers=1).open() as engine:
        assert engine.describe() == "this process"
    with LOCAL.open_cluster() as engine:
        assert engine is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EngineOptions(scheduler="tcp://node:1"), "--scheduler is 'tcp://node:1'; expected --engine dask with it"),
        (EngineOptions(resources=["GPU=1"]), "--resources is 'GPU=1'; expected --engine dask with it"),
        (EngineOptions("dask", resources=["A=1", "GPU"]), "--resources is 'GPU'; expected names and numbers above 0"),
        (EngineOptions("dask", resources=["GPU=0"]), "--resources is 'GPU=0'; expected"),
        (EngineOptions("dask", resources=["GPU=nan"]), "--resources is 'GPU=nan'; expected"),
        (EngineOptions("dask", resources=["=1"]), "--resources is '=1'; expected"),
    ],
)
@pytest.mark.parametrize("way", [EngineOptions.check, EngineOptions.open, EngineOptions.open_cluster])
def test_options_that_are_none_are_refused_before_anything_is_opened(options, message, way):
    with pytest.raises(InputError) as caught:
        way(options)
    assert str(caught.value).startswith(message)


def test_workers_on_this_machine_are_jobs_where_a_command_has_those():
    with pytest.raises(InputError, match="--workers is 3; expected --engine dask with it: on this machine give --jobs"):
        EngineOptions(workers=3).open_cluster()


def test_the_cluster_is_the_one_that_is_named():
    pytest.importorskip("distributed")
    options = EngineOptions("dask", "nonsense://node1:1", resources=["GPU=0.5", "big=2"])
    assert options._resources() == {"GPU": 0.5, "big": 2.0}
    for way in (options.open, options.open_cluster):
        with pytest.raises(EngineError, match="no Dask scheduler answers at nonsense://node1:1"):
            contextlib.ExitStack().enter_context(way())
