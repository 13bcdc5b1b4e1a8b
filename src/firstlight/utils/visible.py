"""The filter for text that leaves the program: no credentials, and what nobody sees or what turns text round escaped.

Ordinary text of any language stays as it is, with its combining marks and emoji.
"""

import json
import re
from typing import Any, TextIO

from firstlight.utils.addresses import without_credentials

# Control characters but for those of layout; what is of no width; what turns text round; halves of surrogates, which
# are the bytes of a file's name that are no UTF-8.
_UNSEEN = re.compile(
    "\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
_JOINERS = "\u200c\u200d"  # which belong to emoji, and to the spelling of many languages
_JOINED = re.compile("[^\x00-\xff][\u200c\u200d][^\x00-\xff]")
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{2,6}\U000e007f")  # of Scotland, for one


def visible(text: str) -> str:
    """Text without credentials, nor characters that are not seen: these stand there as JSON and JavaScript write them.

    The value of a string in JSON is the same before and after, but for credentials.

    Examples
    --------
    >>> visible("\\x1b[31mred"), visible("a\\u202eb"), visible("naïve 漢字")
    ('\\\\u001b[31mred', 'a\\\\u202eb', 'naïve 漢字')
    """
    return _UNSEEN.sub(_escaped, without_credentials(text))


class VisibleStream:
    """A stream on which all that is written is visible; rich, whose own escape sequences are meant, knows it."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """As of any stream."""
        return self.rich_proxied_file.write(visible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def _escaped(found: re.Match[str]) -> str:
    text, start, character = found.string, found.start(), found[0]
    if character in _JOINERS and start and _JOINED.match(text, start - 1):
        return character
    if character >= "\U000e0000" and (flag := _FLAG.match(text, max(0, text.rfind("\U0001f3f4", 0, start)))):
        return character if flag.end() > start else json.dumps(character)[1:-1]
    return json.dumps(character)[1:-1]
