"""The curve as a dict, a table, a picture and a line of text."""

import json

import numpy as np
import pytest

from firstlight.whitening import AutocorrelationCurve


@pytest.fixture
def curve() -> AutocorrelationCurve:
    return AutocorrelationCurve(np.array([1.0, 0.5, 0.25]), np.array([8.0, 4.0, 2.0]), 16, "net", "conv1")


def test_it_prints_what_it_is(curve):
    assert repr(curve) == "AutocorrelationCurve(net conv1: 16 filters; 0.250 at 2 pixels)"
    alone = AutocorrelationCurve(np.ones(1), np.ones(1), 2)
    assert repr(alone) == "AutocorrelationCurve(filters: 2 filters)"


def test_it_turns_into_a_dict_and_a_table(curve):
    values = json.loads(json.dumps(curve.to_dict()))
    assert values["distance"] == [0, 1, 2]
    assert values["value"] == [1.0, 0.5, 0.25]
    assert values["raw"] == [8.0, 4.0, 2.0]
    assert (values["filters"], values["source"], values["layer"]) == (16, "net", "conv1")
    frame = curve.to_frame()
    assert frame.columns.tolist() == ["distance", "value", "raw"]
    assert frame.value.tolist() == [1.0, 0.5, 0.25]


def test_the_plot_shows_it_on_labelled_axes(curve):
    fig, ax = curve.plot()
    line = ax.lines[0]
    np.testing.assert_array_equal(line.get_xydata(), [[0, 1], [1, 0.5], [2, 0.25]])
    assert ax.get_xlabel() == "distance d, pixels"
    assert ax.get_ylabel() == "auto-correlation C(d) / C(0)"
    again, same = curve.plot(ax)
    assert again is fig
    assert same is ax
