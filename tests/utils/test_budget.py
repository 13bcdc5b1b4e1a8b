"""Nothing expands without bound: files that are small on disk and large in memory end in one line, before they are."""

import os
import sys

import numpy as np
import pytest
from tests.utils.bombs import BOMBS, read, sparse_json

from firstlight.cli import main
from firstlight.errors import InputError
from firstlight.utils.budget import OverBudget, bytes_of, check_item, most_bytes
from firstlight.utils.given import json_file

# Above what the smallest of readers take: a page of Parquet, its dictionary and a cell of it are 50 MiB each.
MOST_GROWTH = 250 << 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(("name", "make", "command"), BOMBS, ids=[f"{bomb[0]}-{bomb[2][0]}" for bomb in BOMBS])
def test_a_bomb_ends_in_one_line(name, make, command, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "w.npy", rng.normal(size=(8, 3, 3, 3)))
    np.save(tmp_path / "few.npy", rng.integers(0, 256, (20, 9, 9, 3), dtype=np.uint8))
    path = tmp_path / name
    make(path)
    code, told, grown = read(tmp_path, [name if word == "FILE" else word for word in command], "100MB")
    print(f"{path.stat().st_blocks * 512:>12,} bytes on disk, {grown >> 20:>5} MiB more at the peak: {told.strip()}")
    assert code == 2, told
    assert "error: " in told.splitlines()[-1]
    assert "Traceback" not in told
    assert grown < MOST_GROWTH


def test_what_an_item_may_take(monkeypatch):
    monkeypatch.delenv("FIRSTLIGHT_MAX_MEMORY", raising=False)
    assert most_bytes() == 2 << 30
    check_item("it", 2 << 30)
    check_item("it", 6 << 30, 1 << 30)  # compressed, and no bomb
    with pytest.raises(OverBudget, match=r"^it takes 3,000,000,000 .* on disk; .* give --max-memory 3GB"):
        check_item("it", 3 * 10**9, 10**6)
    monkeypatch.setenv("FIRSTLIGHT_MAX_MEMORY", "3GB")
    check_item("it", 3 * 10**9, 10**6)
    monkeypatch.setenv("FIRSTLIGHT_MAX_MEMORY", "much")
    with pytest.raises(InputError, match=r"^FIRSTLIGHT_MAX_MEMORY is 'much'; expected an amount of memory: give one"):
        most_bytes()


def test_the_option_is_the_budget_of_the_command_and_of_what_it_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FIRSTLIGHT_MAX_MEMORY", "1")  # put back afterwards
    np.save(tmp_path / "few.npy", np.zeros((20, 9, 9, 3), dtype=np.uint8))
    command = ["moments", str(tmp_path / "few.npy"), "--kernel-size", "3", "--out", str(tmp_path / "o.npz")]
    assert main(command) == 2
    assert "one image takes 243 bytes of memory; expected at most 1 of one item: " in capsys.readouterr().err
    assert main([*command, "--max-memory", "apples"]) == 2
    assert "--max-memory is 'apples'; expected an amount of memory" in capsys.readouterr().err
    assert main([*command, "--max-memory", "1MB"]) == 0
    assert os.environ["FIRSTLIGHT_MAX_MEMORY"] == "1MB"


def test_json_of_a_large_file_is_not_read(tmp_path):
    sparse_json(tmp_path / "run.json")
    with pytest.raises(OverBudget, match=r"run\.json takes 16,777,216,000 bytes of memory; expected at most"):
        json_file(tmp_path / "run.json")


@pytest.mark.parametrize(("text", "amount"), [("1", 1), ("1.5k", 1500), ("8GB", 8 * 10**9), ("2 TB", 2 * 10**12)])
def test_amounts_of_memory(text, amount):
    assert bytes_of(text, "--max-memory") == amount


@pytest.mark.parametrize("text", ["", "0", "-1GB", "GB", "1e3", "8 apples", "9" * 40])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(InputError, match="--max-memory is"):
        bytes_of(text, "--max-memory")
