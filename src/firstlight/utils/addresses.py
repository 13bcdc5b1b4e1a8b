"""Credentials, which are in nothing that leaves the program: in addresses of the web, and of the environment."""

import os
import re
from functools import cache
from urllib.parse import urlsplit

# Each begins with a character that is looked for quickly: pages have megabytes.
_USER = re.compile(r"""(:(?<=\w\w:)/{1,3})[^\s/?#'"<>\\]*@""")
_QUERY = re.compile(r"""(:(?:(?<=\w\w:)/{1,3}|(?<=\bhf:))[^\s?#'"<>\\]*)[?#][^\s'"<>\\]+""")
# In what libraries say: part of an address, or a header.
_SECRET = "token|key|secret|sig|passw|credential|auth"
_PAIR = re.compile(rf"""([?&][\w.%-]*(?:{_SECRET})[\w.%-]*=)[^\s&'"<>\\]+""", re.IGNORECASE)
_HEADER = re.compile(r"\b(Bearer|Basic) +[\w.~+/=-]{8,}")
_VARIABLE = re.compile("TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY")
_SHORTEST = 8  # characters of a variable's value that is no word


def bare_address(url: str) -> str:
    """Scheme, host and path: a user, a password and a query can be secrets.

    >>> bare_address("https://me:password@host:8000/folder/net.safetensors?signature=1#part")
    'https://host:8000/folder/net.safetensors'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_credentials(text: str) -> str:
    """Any text with its addresses bare, and without values of the environment's variables that hold secrets.

    >>> without_credentials("no answer from https://me:password@host/a?b=1, or s3:/key:secret@bucket: gone")
    'no answer from https://host/a or s3:/bucket: gone'
    >>> without_credentials('xmlns="http://host/ns#"')  # nothing behind it
    'xmlns="http://host/ns#"'
    """
    text = _HEADER.sub(r"\1 ***", _PAIR.sub(r"\1***", _QUERY.sub(r"\1", _USER.sub(r"\1", text))))
    known = _known()
    return known.sub("***", text) if known else text


@cache
def _known() -> re.Pattern[str] | None:
    values = {
        value.strip()
        for name, value in os.environ.items()
        if _VARIABLE.search(name.upper()) and len(value.strip()) >= _SHORTEST
    }
    return re.compile("|".join(map(re.escape, sorted(values, key=len, reverse=True)))) if values else None
