"""Compiled loops give their answer wherever they can or cannot be kept."""

import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from firstlight.patches.kernels.compiled import compiled
from firstlight.utils.console import note_once


def double(x):
    return 2 * x


def broken(*_):
    raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def _told_nothing_yet():
    note_once.cache_clear()


def test_where_no_folder_can_be_written_they_are_compiled_each_time(monkeypatch, capsys):
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    assert [compiled(double)(21), compiled(double)(4.5)] == [42, 9.0]
    told = capsys.readouterr().err
    assert told.count("compiled loops are not kept") == 1
    assert "set NUMBA_CACHE_DIR" in told


@pytest.mark.parametrize("fails", ["load_overload", "save_overload"])
def test_a_full_disk_or_a_damaged_file_costs_time_alone(monkeypatch, capsys, fails: str):
    monkeypatch.setattr(FunctionCache, fails, broken)
    monkeypatch.setattr(
        FunctionCache, "save_overload" if fails == "load_overload" else "load_overload", lambda *_: None
    )
    np.testing.assert_array_equal(compiled(double)(np.arange(3)), [0, 2, 4])
    assert capsys.readouterr().err.count("compiled loops are not kept") == 1


def test_where_all_is_well_nothing_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    assert compiled(double)(21) == 42
    assert list(tmp_path.rglob("*.nbi"))
    assert capsys.readouterr().err == ""
