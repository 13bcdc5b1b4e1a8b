"""axe-core, which finds what keeps people from using a page: `python -m tests.browser.axe` fetches it, once.

It is a script of half a megabyte from npm, and therefore not in the repository.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

VERSION = "4.14.1"
# Of axe.min.js in that version of the npm package.
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
VARIABLE = "FIRSTLIGHT_AXE"
FETCHED = Path(__file__).parents[2] / ".axe-core" / f"axe-{VERSION}.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


class NoAxe(Exception):
    """Why there is no axe-core."""


def axe_script() -> str:
    """The script, checked."""
    path = Path(os.environ.get(VARIABLE, FETCHED))
    if not path.is_file():
        raise NoAxe(f"no axe-core in {path}: fetch it with `make browser-tools`, or name the file in {VARIABLE}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise NoAxe(f"{path} is not axe.min.js {VERSION}: fetch it again with `make browser-tools`")
    return content.decode()


def violations(page: "Page", script: str) -> list[str]:
    """Serious and critical violations of a page as it is now, one line each: rule, place, and what is wrong."""
    page.evaluate(script)
    options: dict[str, Any] = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    found = json.loads(page.evaluate("async options => JSON.stringify((await axe.run(options)).violations)", options))
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:200]}: {node['failureSummary']}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def fetch() -> None:
    """Fetch the pinned version from npm."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", folder, f"axe-core@{VERSION}"],
            check=True,
            stdout=sys.stderr,
        )
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            content = member.read()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        sys.exit(f"axe.min.js has SHA-256 {found}; expected {SHA256}")
    FETCHED.parent.mkdir(exist_ok=True)
    FETCHED.write_bytes(content)


if __name__ == "__main__":
    if not FETCHED.is_file():
        fetch()
