"""The notebooks become pages with the outputs that they were written with: `make notebooks`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, and its pictures."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        pictures: dict[str, str] = {}
        cells = json.loads(path.read_text())["cells"]
        parts = [part for cell in cells for part in _markdown(cell, path.stem, pictures)]
        parts.append(f"[This notebook]({path.name}), to run it yourself.")
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content="\n\n".join(parts)))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def _markdown(cell: dict[str, Any], stem: str, pictures: dict[str, str]) -> Iterator[str]:
    """A cell as Markdown; pictures are put aside under their names."""
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        yield source
        return
    if "hide" in cell["metadata"].get("tags", ()):
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
        if "image/svg+xml" in data:
            name = f"{stem}_{len(pictures) + 1}.svg"
            pictures[name] = data["image/svg+xml"]
            yield f"![{cell['metadata'].get('alt', 'The figure that this code draws')}]({name})"
        elif "text/html" in data:  # a table; scoped styles are no part of it
            yield re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
        elif text := data.get("text/plain", "".join(output.get("text", ""))):
            yield f"```text\n{text.rstrip()}\n```"
