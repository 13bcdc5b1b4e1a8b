"""The page's own eq. 3 and correlation are Python's, from one limit of tau to the other."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import firstlight as fl
from firstlight.errors import InputError
from firstlight.profile import correlation

NODE = shutil.which("node")
# Lines of [function, arguments] in, lines of results out; JSON knows neither NaN nor infinity: they go as words.
SERVER = """
const functions = {linearCnnProfile, correlation, relativeToPeak};
const word = (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);
const number = (_, value) => (["NaN", "Infinity"].includes(value) ? Number(value) : value);
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const [name, ...given] = JSON.parse(line, number);
  console.log(JSON.stringify(functions[name](...given), word));
});
"""

variances = st.lists(st.floats(1e-12, 1e6) | st.just(0.0), min_size=3, max_size=40).filter(any)
taus = st.floats(1e-15, 1e18)
energies = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=3, max_size=40)


class Page:
    """The page's script in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def __call__(self, name: str, *given):
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        words = json.dumps([name, *given]).replace("-Infinity", '"-Infinity"').replace("NaN", '"NaN"')
        self.process.stdin.write(words.replace(" Infinity", ' "Infinity"') + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if NODE is None:
        pytest.skip("no node here; the browser's tests compare the same numbers")
    script = (files("firstlight.report") / "static" / "formula.js").read_text()
    with subprocess.Popen([NODE, "-e", script + SERVER], stdin=-1, stdout=-1, text=True) as process:
        yield Page(process)
        assert process.stdin is not None
        process.stdin.close()


@settings(max_examples=150, deadline=None)
@given(variance=variances, tau=taus)
def test_the_profile_is_pythons(page, variance, tau):
    np.testing.assert_allclose(
        page("linearCnnProfile", variance, tau), fl.linear_cnn_profile(variance, tau), rtol=1e-12
    )


def test_whitening_is_the_limit_and_by_its_own_peak_rises_to_1_at_the_last_component(page):
    whitened = page("linearCnnProfile", [4.0, 1.0, 0.25], float("inf"))
    assert whitened == [0.5, 1.0, 2.0]
    assert page("relativeToPeak", whitened) == [0.25, 0.5, 1.0]


@settings(max_examples=150, deadline=None)
@given(
    values=energies.flatmap(
        lambda a: st.tuples(st.just(a), st.lists(st.floats(0, 1e6), min_size=len(a), max_size=len(a)))
    )
)
def test_the_correlation_is_pythons(page, values):
    a, b = values
    found = float(page("correlation", a, b))
    try:
        assert found == pytest.approx(correlation(np.array(a), np.array(b)), abs=1e-12)
    except InputError:
        assert np.isnan(found)


@pytest.mark.parametrize("energy", [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [1.0, float("nan"), 2.0]])
def test_a_profile_that_has_no_correlation_has_none(page, energy):
    assert np.isnan(float(page("correlation", energy, [1.0, 2.0, 4.0])))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-150, 1.0, 1e150]))
def test_the_drawn_curve_is_the_fits_by_its_own_peak(page, seed, scale):
    rng = np.random.default_rng(seed)
    variance = np.sort(10 ** rng.uniform(-4, 2, 12))[::-1]
    energy = scale * rng.uniform(0.1, 1, 12)
    fit = fl.fit_formula(energy, variance)
    drawn = page("relativeToPeak", page("linearCnnProfile", variance.tolist(), fit.tau))
    np.testing.assert_allclose(drawn, fit.prediction / fit.prediction.max(), rtol=1e-9)
    assert float(page("correlation", energy.tolist(), drawn)) == pytest.approx(fit.correlation, abs=1e-12)
