"""The explorer opens on a trained network at its best fit, shows single moments of its training, and has a log axis."""

import numpy as np
import pytest
from tests.browser.conftest import Open
from tests.browser.explorer import part, read, ready, sweep
from tests.browser.pages import Pages
from tests.browser.truth import networks

_AXIS = "chart => [chart.layout.yaxis.type, chart._fullLayout.yaxis.range]"


def test_it_opens_on_a_trained_network_at_its_best_fit(open_page: Open, pages: Pages):
    explorer = ready(open_page("reproduction"))
    network = networks(pages.shown["reproduction"])[0]
    chosen = part(explorer, "network").locator("option:checked").inner_text()
    assert chosen == network.name
    assert "VGG11, seed 0 · 9" in chosen
    assert "% training accuracy" in chosen
    assert network.fit is not None
    reading = read(explorer)
    assert reading.tau == pytest.approx(network.fit.tau, rel=1e-9)
    np.testing.assert_allclose(reading.measured, network.energy / network.energy.max(), rtol=1e-6)
    peaks = [np.argmax(network.energy) + 1, np.argmax(network.curve(reading.tau)) + 1]
    look = part(explorer, "look").inner_text()
    assert (
        f"measured at component {peaks[0]}; eq. 3 at component {peaks[1]}, a peak that moves from component 1 to"
        in look
    )


def test_one_step_and_the_end_of_training_show_what_was_measured_then(open_page: Open, pages: Pages):
    explorer = ready(open_page("reproduction"))
    network = networks(pages.shown["reproduction"])[0]
    for role, (step, energy, fit) in (("one-step", network.steps[0]), ("end", network.steps[-1])):
        sweep(explorer, 3)
        part(explorer, role).click()
        reading = read(explorer)
        assert f"after step {step} of {network.steps[-1][0]}" in part(explorer, "moment").inner_text()
        np.testing.assert_allclose(reading.measured, energy / energy.max(), rtol=1e-6)
        np.testing.assert_allclose(reading.predicted, network.curve(reading.tau), rtol=1e-6)
        assert fit is not None
        assert reading.tau == pytest.approx(fit.tau, rel=1e-9)
        sweep(explorer, 3)  # the slider and the best fit stay with the moment
        np.testing.assert_allclose(read(explorer).measured, energy / energy.max(), rtol=1e-6)
        part(explorer, "best-fit").click()
        assert read(explorer).tau == pytest.approx(fit.tau, rel=1e-9)
    assert network.steps[0][0] == 1


def test_of_a_file_no_training_is_shown(open_page: Open):
    explorer = ready(open_page("inspection"))
    for role in ("one-step", "end", "play"):
        assert part(explorer, role).is_disabled()
        assert not part(explorer, role).is_visible()


def test_late_eq_3_rises_to_the_last_component_by_its_own_peak(open_page: Open, pages: Pages):
    explorer = ready(open_page("extremes"))
    whitened, early, *_ = networks(pages.shown["extremes"])
    assert read(explorer).tau == np.inf
    np.testing.assert_allclose(read(explorer).predicted, whitened.energy / whitened.energy[-1], rtol=1e-6)
    assert read(explorer).predicted[-1] == 1
    part(explorer, "network").select_option(index=1)
    first, last = sweep(explorer, 2)
    np.testing.assert_allclose(first.predicted, early.energy / early.energy[0], rtol=0.02)
    assert (last.predicted[-1], np.argmax(last.predicted)) == (1, 26)


def test_the_log_axis_stays_over_a_change_of_network_and_leaves_zeros_out(open_page: Open, pages: Pages):
    explorer = ready(open_page("extremes"))
    chart, button = part(explorer, "profile-chart"), part(explorer, "log-axis")
    assert chart.evaluate(_AXIS)[0] == "linear"
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    expected = networks(pages.shown["extremes"])
    for number in (1, len(expected) - 1):  # the last in a basis, some of whose components have no variance
        part(explorer, "network").select_option(index=number)
        network, reading = expected[number], read(explorer)
        kind, (low, high) = chart.evaluate(_AXIS)
        assert (kind, low < high) == ("log", True)
        curve = network.curve(reading.tau)
        shown = curve >= 1e-6
        np.testing.assert_allclose(reading.predicted[shown], curve[shown], rtol=1e-6)
        assert np.isnan(reading.predicted[~shown]).all()
        assert part(explorer, "undrawn").is_visible() == (not shown.all())
        assert low < np.log10(np.nanmin(reading.predicted))
    assert not shown.all()
    button.press("Enter")
    assert chart.evaluate(_AXIS)[0] == "linear"
    assert not part(explorer, "undrawn").is_visible()
