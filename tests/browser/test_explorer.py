"""The explorer computes what Python computes, wherever the slider is, and plays what was recorded."""

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page
from tests.browser.conftest import Open, opening
from tests.browser.explorer import Reading, part, read, ready, record, recorded, sweep
from tests.browser.pages import Pages
from tests.browser.truth import Network, networks

Explored = tuple[Locator, list[Network]]
MOST = 6  # networks of a page that are tried


@pytest.fixture(
    scope="module",
    params=[
        "inspection",
        "extremes",
        "reproduction",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("several", "components-768", "comparison")),
    ],
)
def explored(request: pytest.FixtureRequest, browser: Browser, pages: Pages) -> Iterator[Explored]:
    """A page's explorer, and what Python says of its networks."""
    with opening(browser, pages) as open_page:
        explorer = ready(open_page(request.param))
        yield explorer, networks(pages.shown[request.param])


def chosen(explored: Explored) -> Iterator[tuple[Locator, Network]]:
    """The networks one after the other, as they are chosen in the page: of many, some from first to last."""
    explorer, expected = explored
    for number in np.unique(np.linspace(0, len(expected) - 1, MOST).astype(int)).tolist():
        if len(expected) > 1:
            part(explorer, "network").select_option(index=number)
        yield explorer, expected[number]


def assert_right(reading: Reading, network: Network) -> None:
    expected = network.correlation(reading.tau)
    assert reading.correlation == pytest.approx(expected, abs=1e-6, nan_ok=True)
    if np.isfinite(expected):
        assert f"{reading.correlation:.3f}" == reading.correlation_text.replace("\u2212", "-")
    peak = network.energy.max() or 1.0
    np.testing.assert_allclose(reading.measured, network.energy / peak, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(reading.predicted, network.curve(reading.tau), rtol=1e-6, atol=1e-9)


def test_the_slider_shows_what_python_computes(explored: Explored):
    for explorer, network in chosen(explored):
        readings = sweep(explorer, 12)
        for reading in readings:
            assert_right(reading, network)
        taus = [reading.tau for reading in readings]
        assert taus == sorted(set(taus))  # grows with the slider
        if network.fit is not None and not network.fit.bound:
            assert taus[0] < network.fit.tau < taus[-1]


def test_the_best_fit_is_exactly_the_fitted_one(explored: Explored):
    for explorer, network in chosen(explored):
        if network.fit is None:
            assert part(explorer, "best-fit").is_disabled()
            continue
        sweep(explorer, 2)
        part(explorer, "best-fit").click()
        reading = read(explorer)
        assert reading.tau == pytest.approx(network.fit.tau, rel=1e-9)
        assert reading.correlation == pytest.approx(network.fit.correlation, abs=1e-9)
        assert_right(reading, network)


def test_all_networks_can_be_chosen(explored: Explored):
    explorer, expected = explored
    options = part(explorer, "network").locator("option").all_inner_texts()
    assert options == ([network.name for network in expected] if len(expected) > 1 else [])


def test_the_keyboard_moves_the_slider(open_page: Open, pages: Pages):
    page = open_page("inspection")
    explorer = ready(page)
    (network,) = networks(pages.shown["inspection"])
    slider = part(explorer, "tau")
    slider.focus()
    readings = []
    for keys in (["Home"], ["ArrowRight"] * 3, ["PageUp"], ["End"]):
        for key in keys:
            page.keyboard.press(key)
        readings.append(read(explorer))
        assert_right(readings[-1], network)
    assert [reading.tau for reading in readings] == sorted({reading.tau for reading in readings})
    assert len({reading.value_text for reading in readings}) == len(readings)


def test_every_control_is_reached_by_tab(open_page: Open):
    page = open_page("reproduction")
    ready(page)
    reached: list[str] = []
    page.locator("h1").click()
    expected = ["network", "log-axis", "tau", "best-fit", "one-step", "end", "play", "play-formula"]
    while "play-formula" not in reached and len(reached) < 200:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.dataset.role || ''"))
    assert [role for role in reached if role in expected] == expected


@pytest.fixture
def playing(open_page: Open) -> Page:
    """A page whose clock goes only when it is told to."""
    page = open_page("reproduction", clock=True)
    record(ready(page))
    return page


def test_the_training_is_played_step_by_step_to_its_end(playing: Page, pages: Pages):
    network = networks(pages.shown["reproduction"])[0]
    assert len(network.steps) > 5
    explorer = ready(playing)
    part(explorer, "play").click()
    playing.clock.run_for(60_000)
    played = recorded(playing)
    assert len(played) == len(network.steps)
    for (words, reading), (step, energy, fit) in zip(played, network.steps, strict=True):
        assert f"step {step} of {network.steps[-1][0]}" in words
        np.testing.assert_allclose(reading.measured, energy / energy.max(), rtol=1e-6)
        assert fit is not None
        assert reading.tau == pytest.approx(fit.tau, rel=1e-9)
        assert reading.correlation == pytest.approx(fit.correlation, abs=1e-9)
    assert_right(read(explorer), network)
    assert network.fit is not None
    assert read(explorer).tau == pytest.approx(network.fit.tau, rel=1e-9)


def test_a_second_press_stops_what_plays(playing: Page):
    explorer = ready(playing)
    part(explorer, "play").click()
    playing.clock.run_for(1_000)
    part(explorer, "play").click()
    before = len(recorded(playing))
    playing.clock.run_for(60_000)
    assert len(recorded(playing)) == before


def test_eq_3_is_played_over_all_of_tau(playing: Page, pages: Pages):
    network = networks(pages.shown["reproduction"])[0]
    explorer = ready(playing)
    low, high = (reading.tau for reading in sweep(explorer, 2))
    first = len(recorded(playing))
    part(explorer, "play-formula").click()
    for _ in range(40):  # frames
        playing.clock.fast_forward(500)
    played = [reading for _, reading in recorded(playing)][first:]
    taus = [reading.tau for reading in played]
    assert len(taus) > 10
    assert taus == sorted(taus)
    assert np.log(taus[0] / low) < 0.1 * np.log(high / low)
    assert taus[-1] == pytest.approx(high)
    for reading in played:
        assert_right(reading, network)
