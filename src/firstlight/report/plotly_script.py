"""Plotly's script as the page carries it: compressed, and unpacked by the browser when a chart is first needed."""

import base64
import gzip
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

SCRIPT = "plotly/package_data/plotly.min.js"


@cache
def plotly_script() -> str:
    """The script of the installed package `plotly`, gzipped, in base64; the package itself is not imported."""
    script = Path(str(distribution("plotly").locate_file(SCRIPT))).read_bytes()
    return base64.b64encode(gzip.compress(script, compresslevel=9, mtime=0)).decode()
