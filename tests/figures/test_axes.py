"""Figures and axes."""

import subprocess
import sys

from firstlight.figures.axes import axes_or_new, new_figure
from firstlight.figures.profiles import component_axis


def test_figures_and_axes():
    fig, axes = new_figure(rows=2, columns=2)
    assert len(axes) == 4
    assert axes_or_new(axes[3]) == (fig, axes[3])
    component_axis(axes[0], 27)
    assert axes[0].get_xlabel() == "patch component, by decreasing variance"


def test_pyplot_is_not_imported():
    code = "import sys; from firstlight.figures.axes import new_figure; "
    code += "from firstlight.figures.svg import svg; svg(new_figure()[0]); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
