"""Formulas become MathML while the site is built: browsers draw it by themselves, and screen readers read it."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves of $...$ and $$...$$.
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace the formulas of a page."""
    content = _BLOCK.sub(lambda match: _mathml(match[1], "block"), content)
    return _INLINE.sub(lambda match: _mathml(match[1], "inline"), content)


def _mathml(latex: str, display: str) -> str:
    return convert(html.unescape(latex.strip()), display=display)
