"""`inspect` and `compare` in the terminal: what was found comes first, and all of it fits."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

import firstlight as fl
from firstlight.filters import FilterBank
from firstlight.inspection import Comparison, Inspection
from firstlight.report.filter_tables import comparison_parts, inspection_parts


def bank(*shape: int, source: str = "net.pth", seed: int = 0) -> FilterBank:
    return FilterBank(np.random.default_rng(seed).normal(size=shape), layer="conv1", source=source)


def printed(found: Inspection | Comparison, width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO(), no_color=True)
    parts = inspection_parts(found, width) if isinstance(found, Inspection) else comparison_parts(found, width)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_finding_comes_first_then_the_numbers():
    lines = printed(fl.inspect(bank(16, 3, 3, 3)))
    assert lines[0] == "net.pth, seen with patches of cifar10"
    assert lines[1].startswith("looks untrained")
    names = [re.split(r"\s{2,}", line)[0] for line in lines[lines.index("") + 1 :]]
    assert names == [
        *("layer", "patches", "profile", "peak", "unevenness", "whitening", "window", "rank", "filters", ""),
        *("theory", "r", "by chance", "R²", "t"),
    ]


def test_each_number_stands_on_a_line_with_how_to_read_it():
    lines = printed(fl.inspect(bank(16, 3, 3, 3)))
    places = [line.index("random banks:") for line in lines if "random banks:" in line]
    assert len(places) == 1
    headings = next(line for line in lines if line.startswith("theory"))
    (chance,) = (line for line in lines if line.startswith("by chance"))
    assert headings.index("composition") == chance.index(chance.split()[3])


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("shape", [(64, 3, 11, 11), (8, 1, 3, 3), (16, 3, 1, 1), (3, 3, 3, 3), (1, 3, 2, 2)])
def test_nothing_is_wider_than_the_terminal(width, shape):
    found = fl.inspect(bank(*shape, source="a/folder/with-a-long-name-without-any-space-in-it.pth"))
    assert max(map(len, printed(found, width))) <= width


def test_at_80_columns_only_sentences_are_wrapped():
    lines = printed(fl.inspect(bank(64, 3, 3, 3)))
    assert len(lines[lines.index("") + 1 :]) == 15


def test_one_filter_is_one_and_nothing_has_no_peak():
    assert any("1 filter of" in line for line in printed(fl.inspect(bank(1, 3, 3, 3))))
    (peak,) = (line for line in printed(fl.inspect(np.zeros((4, 3, 3, 3)))) if line.startswith("peak"))
    assert peak.split() == ["peak", "-", "of", "27", "components"]


def test_a_change_is_called_one():
    lines = printed(fl.inspect(bank(8, 3, 3, 3), initial=bank(8, 3, 3, 3, seed=1)))
    assert any(line.startswith("change  ") for line in lines)
    assert not any(line.startswith("profile") for line in lines)


def compared(count: int) -> Comparison:
    return fl.compare([bank(8, 3, 3, 3, seed=seed, source=f"net{seed}.pth") for seed in range(count)])


def test_a_comparison_begins_with_its_ends_and_with_chance():
    found = compared(4)
    values = found.correlations[np.triu_indices(4, 1)]
    most, least, untrained, _, chance, theories, how = printed(found)[:7]
    one, other = np.argwhere(found.correlations == values.max())[0]
    assert untrained == "untrained    net0.pth, net1.pth, net2.pth, net3.pth: what they share need not be"
    assert most.split() == ["most", "alike", f"{values.max():.3f}", f"net{one}.pth", "and", f"net{other}.pth"]
    assert least.split()[:3] == ["least", "alike", f"{values.min():.3f}"]
    assert chance.split()[:3] == ["by", "chance", f"{found.chance:.3f}"]
    assert re.fullmatch(r"theories +eq. 3 r = 0.\d\d to 0.\d\d; composition r = -?0.\d\d to -?0.\d\d", theories)
    assert how == "compared     energy profiles, in 27 components"


def test_two_networks_have_one_correlation_and_a_constant_profile_none():
    lines = printed(compared(2))
    assert lines[0].split()[0] == "alike"
    assert not any("least" in line for line in lines)
    none = printed(fl.compare([np.zeros((4, 3, 3, 3)), bank(4, 3, 3, 3)]))
    assert none[0] == "alike      not defined: a profile is constant"


@pytest.mark.parametrize("width", [40, 80])
def test_many_networks_are_compared_in_blocks_that_fit(width):
    found = compared(14)
    lines = printed(found, width)
    assert max(map(len, lines)) <= width
    shown = re.findall(r"(?<![\d.])-?[01]\.\d{3}(?!\d)", "\n".join(lines[lines.index("") :]))
    assert len(shown) == 14 * 13 / 2
    assert sorted(shown) == sorted(f"{r:.3f}" for r in found.correlations[np.triu_indices(14, 1)])
