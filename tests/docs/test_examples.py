"""The examples in the pages of the documentation print what the pages show."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CHECKPOINTS = Path(__file__).parents[3] / "shared" / "data" / "checkpoints"
sys.path.insert(0, str(DOCS))

import examples  # noqa: E402  # pyright: ignore[reportMissingImports]

# Pages whose examples take some seconds each; the others are seconds of training, or draw many figures.
QUICK = ("tutorial.md", "theory.md", "data.md")
SLOW = ("faq.md", "index.md", "report.md", "training.md")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So small a training is quicker so, and other tests beside it are not slowed down."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def check(name: str, folder: Path) -> None:
    found = list(examples.run((DOCS / name).read_text(), folder))
    assert found
    for example in found:
        if example.shown is not None:
            assert examples.same(example.shown, example.printed), (
                f"{name} shows\n{example.shown}\nfor\n{example.code}\nwhich prints\n{example.printed}\n"
                f"if that is right: python docs/examples.py docs/{name}"
            )


@pytest.mark.recorded
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", QUICK)
def test_examples_print_what_the_page_shows(name: str, tmp_path: Path):
    check(name, tmp_path)


@pytest.mark.recorded
def test_the_page_on_the_first_layer_shows_what_inspect_prints_of_networks_that_others_trained(tmp_path: Path):
    page = DOCS / "first-layer.md"
    for name in set(re.findall(r"\S+\.th\b", page.read_text())):
        if not (CHECKPOINTS / name).exists():
            pytest.skip(f"{name} is not here")
        (tmp_path / name).symlink_to(CHECKPOINTS / name)
    check(page.name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_slow_examples_print_what_the_page_shows(name: str, tmp_path: Path):
    check(name, tmp_path)


def test_every_block_of_the_tutorial_is_run_but_the_installation():
    text = (DOCS / "tutorial.md").read_text()
    (not_run,) = re.findall(r"^```shell\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert "pip install" in not_run
    assert set(re.findall(r"^```(\w+)$", text, re.MULTILINE)) == {"shell", "sh", "python", "text"}


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [
        ("tau = 0.0846, r 0.96", "tau = 0.0860, r 0.97\n", True),
        ("18,000,000 patches", "18,000,000  patches", True),
        ("█▇▂▃ 3", "█▆▂▃ 3", True),
        ("r = 0.96", "r = 0.80", False),
        ("looks untrained", "looks trained", False),
        ("1 2", "1", False),
    ],
)
def test_outputs_are_compared_by_words_and_numbers(shown: str, printed: str, alike: bool):
    assert examples.same(shown, printed) is alike


def test_an_example_that_fails_or_prints_something_else_is_noticed(tmp_path: Path):
    page = "```python\nx = 6\n```\n\n```python\nprint(x * 7)\n```\n\n```text\n41\n```\n"
    first, second = examples.run(page, tmp_path)
    assert (first.shown, second.shown, second.printed) == (None, "41\n", "42\n")
    with pytest.raises(RuntimeError, match="exit code 1 of"):
        list(examples.run("```sh\nfalse\n```\n", tmp_path))


def test_outputs_are_renewed(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("```sh\necho new\n```\n\n```text\nold\n```\n\n```sh\necho unseen\n```\n")
    examples.renew(page)
    assert page.read_text() == "```sh\necho new\n```\n\n```text\nnew\n```\n\n```sh\necho unseen\n```\n"
