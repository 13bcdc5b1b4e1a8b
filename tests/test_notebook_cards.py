"""Every result shows itself in a notebook and, in a line, in a terminal, whatever its names and numbers are."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import firstlight as fl
from firstlight.experiments.claims import Claim
from firstlight.experiments.criteria import Criterion
from firstlight.experiments.results import Result
from firstlight.experiments.verdicts import Condition
from firstlight.figures.notebook import LARGEST
from firstlight.patches.shipped import shipped_moments

EVIL = '"><script>alert(1)</script>\udcff\n<img src=x onerror=alert(1)> $x_1$ \u202eevil'
BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))


def bank(count: int = 8, *shape: int, scale: float = 1.0, source: str = EVIL) -> fl.FilterBank:
    weight = scale * np.random.default_rng(count).normal(size=(count, *(shape or (3, 3, 3))))
    return fl.FilterBank(weight, source=source, layer=EVIL, notes=(EVIL,), batch_norm=EVIL)


def reproduction() -> fl.Reproduction:
    criterion = Criterion("F1", "published claim", "formula", EVIL, EVIL, EVIL, EVIL, EVIL)
    claim = replace(
        Claim.judged("F1", Condition.over_seeds(EVIL, [1.0, 1.1]), subject=EVIL, note=EVIL), criterion=criterion
    )
    results = (Result("formula", (claim, replace(claim, verdict="not tested", reason=EVIL, conditions=())), {}, {}),)
    return fl.Reproduction(Path("out"), results, {"data": EVIL, "preset": "quick", "date": "2026-01-02"})


def profile(energy: np.ndarray) -> fl.EnergyProfile:
    return fl.EnergyProfile(energy, 8, source=EVIL)


THINGS = {
    "inspection": lambda: fl.inspect(bank()),
    "inspection of the change": lambda: fl.inspect(bank(8), initial=bank(8, scale=0.5)),
    "inspection of what never moved": lambda: fl.inspect(bank(8), initial=bank(8)),
    "inspection of nothing": lambda: fl.inspect(bank(scale=0.0)),
    "inspection of one pixel": lambda: fl.inspect(bank(8, 3, 1, 1)),
    "comparison": lambda: fl.compare([bank(8), bank(4, 3, 7, 7), bank(2)], BASIS),
    "comparison with nothing": lambda: fl.compare([bank(8, scale=0.0), bank(4)], BASIS),
    "comparison of many": lambda: fl.compare([bank(2)] * 60, BASIS),
    "profile": lambda: fl.energy_profile(bank(), BASIS),
    "profile of nothing": lambda: profile(np.zeros(27)),
    "profile of no numbers": lambda: profile(np.full(27, np.nan)),
    "profile of infinity": lambda: profile(np.array([1.0, np.inf, 0.0])),
    "profile of many": lambda: profile(np.random.default_rng(0).uniform(size=3072)),
    "fit": lambda: fl.fit_formula(fl.energy_profile(bank(), BASIS), BASIS),
    "fit of whitening": lambda: fl.fit_formula(1 / np.sqrt(BASIS.variance), BASIS),
    "fit of no energy": lambda: replace(THINGS["fit"](), energy=np.zeros(27), prediction=np.zeros(27)),
    "fit of no numbers": lambda: replace(THINGS["fit"](), energy=np.full(27, np.nan), log_r2=np.nan),
    "basis": lambda: BASIS,
    "basis of nothing": lambda: replace(BASIS, variance=np.zeros(27)),
    "basis of no numbers": lambda: replace(BASIS, variance=np.full(27, np.nan)),
    "basis of many": lambda: replace(BASIS, components=np.eye(768), variance=np.arange(768.0)[::-1], kernel_size=16),
    "reproduction": reproduction,
    "recorded reproduction": lambda: fl.recorded("label-correlation"),
    "filters": bank,
    "many filters": lambda: bank(300, 3, 16, 16),
    "auto-correlation": lambda: fl.autocorrelation(None, fl.load_images("photos"), max_distance=3),
    "moments": lambda: fl.PatchMoments(3, 3),
    "lags": lambda: fl.ImageLags(3, 3, max_distance=2),
}


@pytest.mark.parametrize("name", THINGS)
def test_it_shows_itself(name):
    thing = THINGS[name]()
    html = thing._repr_html_()
    root = ElementTree.fromstring(html.replace("<br>", "<br/>"))
    tags = {element.tag for element in root.iter()}
    assert not tags & {"script", "img", "style", "link", "iframe"}
    assert ("svg" in tags) == (not any(word in name for word in ("reproduction", "moments", "lags")))
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on") or key == "src"]
    assert len(html.encode()) <= LARGEST
    assert thing._repr_html_() == html
    line = repr(thing)
    assert line.isprintable()
    assert line.startswith(f"{type(thing).__name__}(")
    assert len(line) < 500


def test_numbers_are_those_of_the_result():
    found = fl.inspect(bank(source="net.pth"))
    fit = found.fit
    assert fit is not None
    for shown in (found._repr_html_(), repr(found)):
        assert "net.pth" in shown
        assert f"{fit.tau:.4g}" in shown
        assert f"{fit.correlation:.3f}" in shown
    assert "8 filters of 3 x 3 x 3" in repr(found)
    assert "looks untrained" in repr(found)
    assert f"{fit.correlation:.3f}" in repr(fit)


def test_a_comparison_says_how_alike_its_banks_are():
    found = fl.compare([bank(8), bank(4), bank(2)], BASIS, labels=["a", "b", "c"])
    pairs = found.correlations[np.triu_indices(3, 1)]
    said = f"a, b, c: {pairs.min():.3f} to {pairs.max():.3f}"
    assert repr(found) == f"Comparison({said}; random banks stay below {found.chance:.2f})"
    html = found._repr_html_()
    assert all(f"{r:.2f}" in html for r in pairs)
    assert "not defined" in repr(THINGS["comparison with nothing"]())


def test_a_reproduction_counts_verdicts_and_has_a_table_an_experiment():
    found = fl.recorded(["label-correlation", "frequency"])
    root = ElementTree.fromstring(found._repr_html_().replace("<br>", "<br/>"))
    folded = list(root.iter("details"))
    assert [one[0].text for one in folded] == [
        "label-correlation: 2 reproduced, 1 violated",
        "frequency: 1 reproduced, 1 not reproduced, 2 holds",
    ]
    cells = [["".join(cell.itertext()) for cell in row] for row in folded[0].iter("tr")]
    assert cells[0] == ["verdict", "claim", "published", "measured"]
    assert [row[0] for row in cells[1:]] == ["reproduced", "reproduced", "violated"]
    assert cells[1][3] == found.claims[0].measured
    assert "1 reproduced, 1 not reproduced, 0 inconclusive, 0 not tested" in "".join(root.itertext())


def test_a_basis_says_what_holds_its_variance():
    variance = np.r_[98.0, 1.0, 1.0, np.zeros(24)]
    assert [replace(BASIS, variance=variance).holding(share) for share in (0.5, 0.98, 0.99, 0.995)] == [1, 1, 2, 3]
    assert replace(BASIS, variance=np.zeros(27)).holding() == 0
