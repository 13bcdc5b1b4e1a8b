import os
import stat
import threading
from pathlib import Path

import pytest

from firstlight.utils.partials import PARTIAL, remove_partials
from firstlight.utils.whole_files import atomic_write, write_text


def test_the_file_appears_under_its_name_only_when_the_block_has_ended(tmp_path: Path):
    target = tmp_path / "deep" / "er" / "data.bin"
    with atomic_write(target) as file:
        file.write(b"half")
        file.flush()
        assert not target.exists()
        file.write(b" and half")
    assert target.read_bytes() == b"half and half"
    assert [path.name for path in target.parent.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_block_leaves_the_old_file_and_no_litter(tmp_path: Path, error: type[BaseException]):
    target = tmp_path / "data.bin"
    target.write_bytes(b"old")

    def write() -> None:
        with atomic_write(target) as file:
            file.write(b"new, but not whole")
            raise error("stop")

    with pytest.raises(error, match="stop"):
        write()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["data.bin"]


def test_a_target_that_is_a_folder_is_left_alone(tmp_path: Path):
    target = tmp_path / "folder"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"), atomic_write(target) as file:
        file.write(b"data")
    assert (target / "inside").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_the_file_has_the_permissions_that_open_would_give(tmp_path: Path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "a")
        assert os.umask(0o027) == 0o027  # atomic_write put it back
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_write_text_is_utf8_without_newline_translation_and_replaces(tmp_path: Path):
    write_text(tmp_path / "a.txt", "a much longer text than the next one")
    write_text(str(tmp_path / "a.txt"), "λ²\r\nτ\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xce\xbb\xc2\xb2\r\n\xcf\x84\n"


def test_writers_in_many_threads_leave_one_whole_file(tmp_path: Path):
    target = tmp_path / "shared.txt"
    texts = [str(i) * 50 for i in range(8)]

    def write(text: str) -> None:
        for _ in range(40):  # whoever begins looks for what others have left, and must not take what they begin for it
            write_text(target, text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_text() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["shared.txt"]


def test_what_killed_writers_left_behind_is_cleared_away_and_nothing_else(tmp_path: Path):
    write_text(tmp_path / "whole.txt", "whole")
    write_text(tmp_path / "inner" / f"{PARTIAL}of-another-folder", "kept")
    (tmp_path / f"{PARTIAL}file").write_text("half")
    (tmp_path / f"{PARTIAL}folder").mkdir()
    (tmp_path / f"{PARTIAL}folder" / "a.txt").write_text("half")
    remove_partials(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner", "whole.txt"]
    assert (tmp_path / "inner" / f"{PARTIAL}of-another-folder").exists()


def test_the_unfinished_file_is_one_that_would_be_cleared_away(tmp_path: Path):
    with atomic_write(tmp_path / "data.bin"):
        (unfinished,) = tmp_path.iterdir()
        assert unfinished.name.startswith(PARTIAL)
