"""Tiles of small pictures."""

import subprocess
import sys

import numpy as np

from firstlight.figures.axes import axes_or_new, component_axis, new_figure, tile


def test_each_picture_is_scaled_by_its_own_largest_weight_and_zero_is_gray():
    pictures = np.zeros((3, 3, 2, 2))
    pictures[0, 0, 0, 0] = 5.0
    pictures[1, 1, 1, 1] = -1e-9
    canvas = tile(pictures, columns=3)
    assert canvas.shape == (2, 8, 3)
    assert canvas[0, 0].tolist() == [1.0, 0.5, 0.5]
    assert canvas[1, 4].tolist() == [0.5, 0.0, 0.5]
    assert (canvas[:, 6:] == 0.5).all()  # nothing there: gray, not NaN
    assert (canvas[:, 2] == 1).all()  # a white line between them


def test_other_numbers_of_channels_are_shown_by_their_mean():
    canvas = tile(np.stack([np.full((5, 2, 2), -2.0), np.full((5, 2, 2), 2.0)]), columns=2)
    assert (canvas[:, :2] == 0).all()
    assert (canvas[:, 3:] == 1).all()


def test_figures_and_axes():
    fig, axes = new_figure(rows=2, columns=2)
    assert len(axes) == 4
    assert axes_or_new(axes[3]) == (fig, axes[3])
    component_axis(axes[0], 27)
    assert axes[0].get_xlabel() == "patch component, by decreasing variance"


def test_pyplot_is_not_imported():
    code = "import sys; from firstlight.figures.axes import *; svg(new_figure()[0]); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
