"""Addresses of the web, fit to be shown."""

from urllib.parse import urlsplit


def bare_address(url: str) -> str:
    """Scheme, host and path: a user, a password and a query can be secrets.

    >>> bare_address("https://me:password@host:8000/folder/net.safetensors?signature=1#part")
    'https://host:8000/folder/net.safetensors'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
