"""The documentation: its examples print what it shows, it names all that is public, and it builds without network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import firstlight as fl

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.py"))
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


def test_every_public_name_is_in_the_reference():
    pages = "\n".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
    documented = re.findall(r"^::: (firstlight\.[\w.]+)$", pages, re.MULTILINE)
    assert {path.rpartition(".")[2] for path in documented} >= set(fl.__all__) - {"__version__"}
    overview = (DOCS / "reference" / "index.md").read_text()
    assert {path for path in documented if f"[{path}]" not in overview} == set()


def test_every_public_function_and_class_has_an_example():
    children = {"InputError", "RunError", "SourceError"}  # of FirstlightError, whose example is theirs
    public = set(fl.__all__) - {"__version__"} - children
    assert {name for name in public if ">>>" not in (getattr(fl, name).__doc__ or "")} == set()


@pytest.mark.recorded
def test_figures_quoted_from_the_record_are_in_it():
    """Links of the kind [0.986 ± 0.001](reproducibility/formula.md) say what that page says."""
    quotes = [
        (page.name, *quote)
        for page in PAGES
        for quote in re.findall(r"\[((?:below )?\d[^\]]*)\]\((reproducibility/[\w-]+\.md)\)", page.read_text())
    ]
    assert len(quotes) >= 20
    wrong = [quote for quote in quotes if not re.search(rf"(?<![\d.]){re.escape(quote[1])}(?!\d)", _read(quote[2]))]
    assert wrong == []


def test_no_page_is_left_out_of_the_navigation():
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), yaml.SafeLoader)
    listed = set(_leaves(config["nav"]))
    written = {str(path.relative_to(DOCS)) for path in PAGES} | {f"notebooks/{path.stem}.md" for path in NOTEBOOKS}
    assert listed == written | {"contributing.md", "changelog.md"}
    assert config["theme"]["font"] is False
    assert config["strict"] is True


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_as_scripts(path: Path, tmp_path: Path):
    done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_outside(tmp_path: Path):
    """The notebooks are executed by the build, in kernels of their own."""
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # which is about a program, not about these pages
    mkdocs = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(mkdocs, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert external_loads(page.read_text()) == [], page
    for path in NOTEBOOKS:
        notebook = (tmp_path / "notebooks" / f"{path.stem}.html").read_text()
        assert "<img" in notebook
        assert "Warning" not in notebook
    assert "<math" in (tmp_path / "theory.html").read_text()
    for target in re.findall(r"\]\(docs/([^)#]+)#([^)]*)\)", (ROOT / "README.md").read_text()):
        assert f'id="{target[1]}"' in (tmp_path / target[0].replace(".md", ".html")).read_text(), target


def test_an_external_load_is_found():
    page = """<link rel="stylesheet" href="https://a.example/x.css"><script src="//b.example/x.js"></script>
    <a href="https://c.example">a link</a><img src="figure.svg"><style>@import url("http://d.example/x.css")</style>
    <link rel="canonical" href="https://e.example">"""
    assert external_loads(page) == ["https://a.example/x.css", "//b.example/x.js", "http://d.example/x.css"]


def external_loads(page: str) -> list[str]:
    """What a browser would fetch from elsewhere to show a page; ordinary links are not fetched."""
    elsewhere = r"""["']?((?:https?:)?//[^"'\s>)]+)"""
    styles = re.findall(
        rf"""<link(?=[^>]*rel=["']?(?:stylesheet|icon|preload|preconnect))[^>]*href={elsewhere}""", page
    )
    sources = re.findall(rf"<(?:script|img|iframe|source|audio|video|embed)[^>]*?\ssrc={elsewhere}", page)
    return styles + sources + re.findall(rf"url\({elsewhere}", page)


def _read(name: str) -> str:
    return (DOCS / name).read_text()


def _leaves(nav: list | dict | str) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [leaf for entry in (nav.values() if isinstance(nav, dict) else nav) for leaf in _leaves(entry)]
