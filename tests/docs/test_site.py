"""The site of the documentation: whole, built strictly, and loading nothing from outside."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def test_no_page_is_left_out_of_the_navigation():
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), yaml.SafeLoader)
    listed = set(_leaves(config["nav"]))
    written = {str(path.relative_to(DOCS)) for path in PAGES} | {f"notebooks/{path.stem}.md" for path in NOTEBOOKS}
    assert listed == written | {"contributing.md", "changelog.md"}
    assert config["theme"]["font"] is False
    assert config["strict"] is True


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_outside(tmp_path: Path):
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


def _leaves(nav: list | dict | str) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [leaf for entry in (nav.values() if isinstance(nav, dict) else nav) for leaf in _leaves(entry)]
