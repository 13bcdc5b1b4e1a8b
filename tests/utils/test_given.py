from pathlib import Path

import pytest

from firstlight.errors import InputError
from firstlight.utils.given import json_of, user_path


def test_home_folders_and_files_that_are_called_so(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_path("~/x.npy") == Path("/somewhere/x.npy")
    assert user_path("a/~b") == Path("a/~b")
    assert user_path("~nobody_such/x") == Path("~nobody_such/x")
    Path("~root.npy").touch()
    assert user_path(Path("~root.npy")) == Path("~root.npy")
    Path("~").mkdir()
    assert user_path("~") == Path("/somewhere")  # whatever is called so here


@pytest.mark.parametrize("name", ["\0", "x" * 5000, "~\0", "~" + "x" * 5000, "\udcff"])
def test_names_that_no_file_has(name: str):
    assert user_path(name) == Path(name)


def test_no_name_and_no_home(monkeypatch):
    with pytest.raises(InputError, match="a path is empty"):
        user_path("")

    def unknown(path: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(InputError, match="HOME is not set; expected a home folder"):
        user_path("~/x")


@pytest.mark.parametrize("text", ["[" * 100_000, b'{"a":' * 100_000, "[", b"\xff", "1" * 10_000, ""])
def test_json_is_read_or_a_value_error(text: str | bytes):
    with pytest.raises(ValueError, match=r".") as caught:
        json_of(text)
    assert not isinstance(caught.value, RecursionError)
