"""Files of the repository that are pages of the site as well: links to them lead out of docs/ here, not there."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "src/firstlight/inspection/schema.json": "schema.json",
    **{f"benchmarks/results/{path.name}": f"benchmarks/{path.name}" for path in RESULTS.glob("*.md")},
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to the site."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to them stay inside the site."""
    return re.sub(r"\]\(\.\./([^)#]+)", lambda link: f"]({PAGES.get(link[1], '../' + link[1])}", markdown)
