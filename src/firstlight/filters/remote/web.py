"""Requests to web servers within a time limit, which give a token to one host only."""

import logging
import queue
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from firstlight.errors import SourceError
from firstlight.images.download import Deadline
from firstlight.utils.addresses import bare_address

logger = logging.getLogger(__name__)

_SILENCE = 10.0  # seconds without a connection, or without a byte
_MOST_REDIRECTS = 10
_REDIRECTS = {301, 302, 303, 307, 308}


class ConnectionLost(Exception):
    """The connection ended too soon, which is worth a second try."""


class Web:
    """Requests that follow redirects themselves, so that a token never goes along.

    Parameters
    ----------
    deadline : Deadline
        For all requests together.
    home : str, optional
        Address whose scheme, host and port may be sent the token.
    token : str, optional
        Sent to `home` alone, and over plain HTTP only on this machine.
    """

    def __init__(self, deadline: Deadline, home: str = "", token: str = "") -> None:
        self.deadline = deadline
        self.home = home
        self._token = token
        self._session = requests.Session()
        self._session.auth = lambda request: request  # keeps requests from looking into the user's .netrc
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers["User-Agent"] = "firstlight"

    def within_deadline(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread, and stop waiting for it when the time is up.

        A server can keep a connection busy for days, a byte at a time, below anything that a timeout sees. Then the
        thread is left behind; it does not keep the process from ending.
        """
        outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def run() -> None:
            try:
                work()
                outcome.put(None)
            except BaseException as error:  # handed on, whatever it is
                outcome.put(error)

        threading.Thread(target=run, daemon=True).start()
        while True:
            try:
                error = outcome.get(timeout=self.deadline.remaining)
                break
            except queue.Empty:
                self.deadline.check()
        if error is not None:
            raise error

    def open(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Answer to a GET, its body not read yet."""
        at_home = bool(self._token)
        for _ in range(_MOST_REDIRECTS + 1):
            request = self._request(url, headers)
            logger.debug("GET %s %s", bare_address(url), headers.get("Range", ""))
            # The address is judged as it is sent, so that no two readings of it can differ.
            at_home = at_home and may_carry_token(request.url or "", self.home)
            if at_home:
                request.headers["Authorization"] = f"Bearer {self._token}"
            response = self._send(request)
            if response.status_code not in _REDIRECTS:
                return response
            target = response.headers.get("Location", "").encode("latin-1", "replace").decode("utf-8", "replace")
            response.close()
            url = _redirected(url, target)
        raise SourceError(f"the server redirects more than {_MOST_REDIRECTS} times")

    def _request(self, url: str, headers: dict[str, str]) -> requests.PreparedRequest:
        try:
            return self._session.prepare_request(requests.Request("GET", url, headers=headers))
        except ValueError as error:  # what requests raises for addresses and hosts is one
            raise SourceError(f"the address is malformed ({type(error).__name__})") from None

    def _send(self, request: requests.PreparedRequest) -> requests.Response:
        url = request.url or ""
        settings: dict[str, Any] = self._session.merge_environment_settings(url, {}, True, None, None)
        if _is_this_machine(origin(url)[1]):
            settings["proxies"] = {}  # they could not reach it, and would see the token
        try:
            # The session's own send() would read the whole body of a redirect, however long.
            timeout = min(_SILENCE, self.deadline.remaining)
            return self._session.get_adapter(url).send(request, timeout=timeout, **settings)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:  # requests' own errors are OSErrors
            if isinstance(error, requests.ConnectionError) and _is_a(error, urllib3.exceptions.ProtocolError):
                raise ConnectionLost from None
            raise SourceError(reason(error)) from None


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address.

    Raises
    ------
    SourceError
        It is not one of the web, or carries a user name.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        raise SourceError("the address is malformed; expected https://HOST/PATH") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError("the address does not begin with https:// or http:// and a host")
    if "@" in parts.netloc:
        raise SourceError("the address carries a user name or password; expected one without")
    return parts.scheme, parts.hostname, port


def may_carry_token(url: str, home: str) -> bool:
    """Whether `url` is of the same scheme, host and port as `home`, and nobody can listen on the way."""
    scheme, host, port = origin(url)
    return bool(home) and (scheme, host, port) == origin(home) and (scheme == "https" or _is_this_machine(host))


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _redirected(url: str, target: str) -> str:
    try:
        found = urljoin(url, target)
    except ValueError:
        found = ""
    if not target or (urlsplit(url).scheme == "https" and not found.startswith("https://")):
        raise SourceError("the server redirects to nowhere, or away from https, which is not followed")
    try:
        origin(found)
    except SourceError as error:
        raise SourceError(f"the server redirects elsewhere than the web: {error}") from None
    return found


def _is_a(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(argument, kind) for argument in error.args)


def reason(error: Exception) -> str:
    """Why there was no answer; never the error's own text, which may hold a signed address."""
    text = str(error)
    if isinstance(error, (requests.ConnectTimeout, requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)):
        return f"the server was silent for {_SILENCE:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not accepted, or the encryption failed"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy gave no connection"
    if "Connection refused" in text:
        return "the connection was refused"
    if "Failed to resolve" in text:
        return "the host's name does not resolve"
    return f"no connection to the server ({type(error).__name__})"
