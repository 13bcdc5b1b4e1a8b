"""What a kill leaves is found and cleared by who writes the same file again; what somebody writes or owns is not."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.utils.partials import PARTIAL, abandoned, partial_of
from firstlight.utils.whole_files import atomic_write, check_target, write_text

HALF = """
import sys, time
from firstlight.utils.whole_files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(600)
"""


def writing(path: Path) -> "subprocess.Popen[str]":
    """A process that has written half of a file."""
    child = subprocess.Popen([sys.executable, "-c", HALF, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    return child


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def end(child: "subprocess.Popen[str]") -> None:
    child.kill()
    child.communicate()


def test_the_part_of_a_killed_process_goes_when_the_file_is_written_again(tmp_path: Path):
    end(writing(tmp_path / "o.npz"))
    assert len(abandoned(tmp_path)) == len(names(tmp_path)) == 1
    write_text(tmp_path / "other.txt", "other")
    assert len(abandoned(tmp_path)) == 1
    write_text(tmp_path / "o.npz", "whole")
    assert names(tmp_path) == ["o.npz", "other.txt"]


def test_the_part_of_a_living_process_stays_whatever_its_number(tmp_path: Path):
    child = writing(tmp_path / "o.npz")
    (part,) = names(tmp_path)
    renamed = tmp_path / part.replace(str(child.pid), "999999999")  # of another machine, or reused: it says nothing
    (tmp_path / part).rename(renamed)
    try:
        assert abandoned(tmp_path) == []
        write_text(tmp_path / "o.npz", "whole")
        assert renamed.read_bytes() == b"half"
    finally:
        end(child)
    assert abandoned(tmp_path) == [renamed]


def test_parts_of_earlier_versions_are_known_even_with_the_number_of_a_process_that_lives(tmp_path: Path):
    (tmp_path / ".part-o.npz.part-1-1").touch()
    write_text(tmp_path / "o.npz.part", "whole")
    assert names(tmp_path) == ["o.npz.part"]


def test_what_is_not_exactly_such_a_file_of_ours_stays(tmp_path: Path):
    kept = [f"{PARTIAL}o.npz", f"{PARTIAL}o.npz-1", f"{PARTIAL}o.npz-1-x", "o.npz-1-1", f"x{PARTIAL}o.npz-1-1"]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / f"{PARTIAL}o.npz-1-1").mkdir()
    (tmp_path / f"{PARTIAL}o.npz-2-2").symlink_to("o.npz-1-1")
    os.mkfifo(tmp_path / f"{PARTIAL}o.npz-3-3")
    if os.getuid() == 0:
        (tmp_path / f"{PARTIAL}o.npz-4-4").touch()
        os.chown(tmp_path / f"{PARTIAL}o.npz-4-4", 12345, 12345)
    before = names(tmp_path)
    write_text(tmp_path / "o.npz", "whole")
    assert names(tmp_path) == sorted([*before, "o.npz"])


def test_names_of_any_length_have_parts(tmp_path: Path):
    for name in ("x" * 255, "é" * 127, "\N{GRINNING FACE}" * 63):
        end(writing(tmp_path / name))
        write_text(tmp_path / name, "whole")
        assert names(tmp_path) == [name]
        (tmp_path / name).unlink()


def test_a_check_leaves_no_trace_and_finds_what_is_wrong(tmp_path: Path):
    check_target(tmp_path / "new" / "er" / "o.npz")
    assert names(tmp_path) == []
    for wrong in (tmp_path / ("x" * 256), tmp_path / "new" / ("x" * 256) / "o", tmp_path, Path("/proc/x")):
        with pytest.raises(OSError, match=r"expected"):
            check_target(wrong)
    assert names(tmp_path) == []


def test_a_part_that_is_taken_before_it_is_held_is_made_again(tmp_path: Path, monkeypatch):
    from firstlight.utils import partials

    flock, taken = partials.fcntl.flock, []

    def steal(file, how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        flock(file, how)

    monkeypatch.setattr(partials.fcntl, "flock", steal)
    with partial_of(tmp_path / "o.npz") as (part, file):
        assert part != taken[0]
        file.write(b"whole")
        file.flush()
        assert part.read_bytes() == b"whole"


LIMITED = """
import resource, sys
from firstlight.utils.whole_files import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_write(sys.argv[1]) as file:
        for _ in range(100):
            file.write(bytes(100))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("there", [False, True])
def test_a_file_that_cannot_grow_leaves_the_old_one_and_says_so_in_one_line(tmp_path: Path, there: bool):
    target = tmp_path / "o.npz"
    if there:
        target.write_text("old")
    done = subprocess.run([sys.executable, "-c", LIMITED, str(target)], capture_output=True, text=True, timeout=60)
    assert done.stdout == (
        f"{target} cannot be written (File too large); expected a size that the system allows: raise that limit "
        "(ulimit -f), or name a file on another disk\n"
    )
    assert names(tmp_path) == (["o.npz"] if there else [])
    assert not there or target.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_with_the_name(tmp_path: Path):
    with pytest.raises(
        OSError, match=r"^/dev/full cannot be written \(No space left on device\); expected room"
    ) as told:
        write_text("/dev/full", "x" * 10_000)
    assert told.value.errno == 28


def test_a_private_file_stays_private_and_its_owner_the_same(tmp_path: Path):
    (tmp_path / "o").touch(mode=0o600)
    if os.getuid() == 0:
        os.chown(tmp_path / "o", 12345, 54321)
    before = os.stat(tmp_path / "o")
    with atomic_write(tmp_path / "o") as file:
        file.write(b"new")
    after = os.stat(tmp_path / "o")
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_what_is_mounted_by_itself_is_written_into(tmp_path: Path, monkeypatch):
    def busy(*_):
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    (tmp_path / "o").write_text("a longer text")
    before = os.stat(tmp_path / "o").st_ino
    write_text(tmp_path / "o", "new")
    assert (tmp_path / "o").read_text() == "new"
    assert os.stat(tmp_path / "o").st_ino == before
    assert names(tmp_path) == ["o"]


def test_streams_are_tried_beforehand(tmp_path: Path):
    reading = os.open("/dev/null", os.O_RDONLY)
    for wrong in (f"/dev/fd/{reading}", "/dev/fd/99999"):
        with pytest.raises(OSError, match=r"cannot be written \(Bad file descriptor\)"):
            check_target(Path(wrong))
    os.close(reading)
    os.mkfifo(tmp_path / "pipe")
    for right in (Path("/dev/null"), tmp_path / "pipe"):
        check_target(right)
