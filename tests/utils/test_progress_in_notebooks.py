"""The line of progress in a notebook: one output of the cell, which a real kernel writes again and again."""

import warnings

import nbclient
import nbformat
import pytest

TRAINING = """
import time
import numpy as np
from firstlight.training import Progress, TrainingProgress

filters = np.zeros((1, 1, 3, 3), np.float32)
with TrainingProgress("a network", 25) as line:
    for step in range(26):
        time.sleep(0.1)
        line.update(Progress(step, 25, 1.5, 0.25, 310.4, filters, None))
"""
NESTED = """
import time
from firstlight.utils.progress import ImageProgress
from firstlight.utils.progress_line import Line

with Line() as whole:
    whole.later = 1.0
    for name in ("train", "test"):
        with ImageProgress(f"reading {name}", 25, True) as images:
            for _ in range(25):
                time.sleep(0.05)
                images.update(1)
    whole.say("all is read")
"""
SHORT = """
from firstlight.utils.progress import ImageProgress

with ImageProgress("reading", 10, True) as images:
    images.update(10)
"""


SILENT = """
import time
from firstlight.utils.progress_line import Line

with Line() as line:
    for _ in range(3):
        time.sleep(0.6)
        line.show("drawing")
"""


@pytest.fixture(scope="module")
def notebook():
    cells = [nbformat.v4.new_code_cell(source) for source in (TRAINING, NESTED, SHORT, SILENT)]
    made = nbformat.v4.new_notebook(cells=cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's own libraries
        nbclient.NotebookClient(made, timeout=120, kernel_name="python3").execute()
    return made


def test_a_training_is_one_output_that_ends_with_its_last_state(notebook):
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    text = output.data["text/plain"]
    assert text.startswith("a network: step 25/25  accuracy 25.0%  loss 1.500")
    assert "\n" not in text


def test_parts_of_a_whole_are_one_output(notebook):
    (output,) = notebook.cells[1].outputs
    assert output.data["text/plain"].startswith("all is read  (")


def test_what_takes_no_time_leaves_no_output(notebook):
    assert notebook.cells[2].outputs == []


def test_where_nothing_was_said_the_time_stays(notebook):
    (output,) = notebook.cells[3].outputs
    assert output.data["text/plain"].startswith("firstlight took ")
