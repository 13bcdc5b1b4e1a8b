"""Filters of models on the Hugging Face hub and on other web servers, of which only the tensors needed are fetched."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import quote, unquote, urljoin, urlsplit

from firstlight.errors import InputError, SourceError
from firstlight.filters.choice.tensors import TensorEntry, TensorFile
from firstlight.filters.formats.refusals import named
from firstlight.filters.formats.safetensors.header import header_length, parse_index, parse_json
from firstlight.filters.formats.safetensors.reader import join_shards, tensor_entries
from firstlight.filters.remote.ranges import MissingFile, RemoteFile, Traffic
from firstlight.filters.remote.web import Web, origin
from firstlight.images.download import Deadline
from firstlight.utils.addresses import bare_address
from firstlight.utils.text import listed, printable

_HUB = "https://huggingface.co"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_SECONDS = 300.0  # for all requests of one source
_FIRST = 1 << 16  # bytes of a first request; most headers end before
_LARGEST_DOCUMENT = 16_000_000  # bytes of an index or a listing
_MOST_SHARDS = 64
_UNKNOWN_SIZE = 1 << 60
_INDEX = ".safetensors.index.json"
_OTHERS = (".pt", ".pth", ".th", ".bin", ".ckpt", ".onnx", ".keras", ".h5", ".npy", ".npz", ".zip", ".msgpack", ".gguf")
_SOURCE = re.compile(r"hf:([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)(?:@([^/@]+))?(?:/(.+))?", re.ASCII)


def read_remote(source: str) -> TensorFile:
    """List the tensors of a safetensors file on a web server, by range requests.

    Parameters
    ----------
    source : str
        "hf:OWNER/NAME[@REVISION][/FILE]" or "https://HOST/PATH". A slash in a revision is written "%2F". Without
        FILE it is model.safetensors, model.safetensors.index.json, or the only safetensors file of the repository.
        The environment variable HF_ENDPOINT names another hub, HF_TOKEN a token for it, which is sent to that host
        alone.

    Returns
    -------
    TensorFile
        Its headers are fetched, and each tensor when it is read. The note says how much that was so far.

    Raises
    ------
    InputError
        The source or an environment variable is not of such a form.
    SourceError
        The model could not be read, with the reason in one line.
    """
    if source.startswith("hf:"):
        return _read_hub(source)
    try:
        origin(source)
    except SourceError as error:
        raise InputError(f"{error} (an address of the web is https://HOST/PATH)") from None
    shown = bare_address(source)
    _check_kind(shown)
    web = Web(Deadline(_SECONDS))
    with named(shown):
        return _read(web, source, shown, lambda name: urljoin(source, quote(name)))


def _read_hub(source: str) -> TensorFile:
    owner, name, revision, file = _parse(source)
    endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or _HUB
    try:
        origin(endpoint)
    except SourceError as error:
        raise InputError(f"HF_ENDPOINT: {error}; expected such as {_HUB}") from None
    folder = f"{endpoint}/{owner}/{name}/resolve/{quote(revision, safe='')}/"

    def address(file: str) -> str:
        return folder + quote(file)

    web = Web(Deadline(_SECONDS), endpoint, _token())
    with named(source):
        if file is not None:
            parent = file.rpartition("/")[0]
            return _read(web, address(file), source, lambda name: address(f"{parent}/{name}" if parent else name))
        for usual in ("model.safetensors", f"model{_INDEX}"):
            try:
                return _read(web, address(usual), source, address)
            except MissingFile:
                continue
        listing = f"{endpoint}/api/models/{owner}/{name}/revision/{quote(revision, safe='')}"
        return _read(web, address(_only_file(_document(web, listing), source)), source, address)


def _parse(source: str) -> tuple[str, str, str, str | None]:
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise InputError(f"the source is '{printable(source, 200)}'; expected hf:OWNER/NAME[@REVISION][/FILE]")
    owner, name, revision, file = found[1], found[2], unquote(found[3] or "main"), found[4]
    if ".." in owner + "/" + name or not re.fullmatch(r"[\w+-][\w.+/-]*", revision) or ".." in revision:
        raise InputError(
            f"the source is '{printable(source, 200)}'; expected names of letters, digits, dots and dashes"
        )
    if file is not None:
        if {"", ".", ".."} & {*file.split("/")} or "\\" in file or not file.isprintable():
            raise InputError(f"the source is '{printable(source, 200)}'; expected the name of a file in the repository")
        _check_kind(file)
    return owner, name, revision, file


def _check_kind(path: str) -> None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _OTHERS or (suffix == ".json" and not path.endswith(_INDEX)):
        raise InputError(
            f"{printable(path, 200)} is a {suffix} file; only safetensors can be read over the web: download it, and "
            "give its path"
        )


def _token() -> str:
    for variable in _TOKENS:
        if token := os.environ.get(variable, "").strip():
            if not re.fullmatch(r"[!-~]+", token):
                raise InputError(f"{variable} holds characters that no token has; expected printable ASCII")
            return token
    return ""


def _document(web: Web, url: str) -> bytes:
    """A whole JSON document, bounded."""
    raw = RemoteFile(web, url, Traffic()).read(0, _LARGEST_DOCUMENT + 1)
    if len(raw) > _LARGEST_DOCUMENT:
        raise SourceError(f"the server sent more than {_LARGEST_DOCUMENT:,} bytes; expected a list")
    return bytes(raw)


def _read(web: Web, url: str, source: str, address: Callable[[str], str]) -> TensorFile:
    """Read a file, or an index and its shards, which lie at `address(name)`."""
    traffic = Traffic()
    notes = cast(Any, traffic)  # not a tuple, since more is fetched when a tensor is read
    if not urlsplit(url).path.endswith(_INDEX):
        return TensorFile(source, _entries(RemoteFile(web, url, traffic), source), ordered=False, notes=notes)
    weights = parse_index(_document(web, url))
    files = list(dict.fromkeys(weights.values()))
    if len(files) > _MOST_SHARDS:
        raise SourceError(
            f"is in {len(files)} files; expected at most {_MOST_SHARDS}: name the one that has the first layer"
        )
    shards: dict[str, Sequence[TensorEntry]] = {}
    for file in files:
        with named(file):
            shards[file] = _entries(RemoteFile(web, address(file), traffic), f"{source}: {file}")
    return TensorFile(source, join_shards(weights, shards), ordered=False, notes=notes)


def _entries(file: RemoteFile, source: str) -> tuple[TensorEntry, ...]:
    head = file.read_head(_FIRST)
    data = 8 + header_length(head, file.size)
    header = head[8:data] + file.read(len(head), data)
    if len(header) < data - 8:
        raise SourceError("ends within its header: it is cut off")
    data_size = _UNKNOWN_SIZE if file.size is None else file.size - data
    return tensor_entries(header, data_size, lambda begin, end: file.read(data + begin, data + end), source)


def _only_file(raw: bytes, source: str) -> str:
    """The one safetensors file in what the hub says of a repository."""
    listing = parse_json(raw, "hub's answer")
    siblings = listing.get("siblings") if isinstance(listing, dict) else None
    names = [
        name
        for sibling in (siblings if isinstance(siblings, list) else [])
        if isinstance(sibling, dict)
        and isinstance(name := sibling.get("rfilename"), str)
        and name.isprintable()
        and not {"", ".", ".."} & {*name.split("/")}
    ]
    found = [name for name in names if name.endswith(".safetensors")]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"has {len(found)} safetensors files: say which, as in {source}/{found[0]}: {_some(found)}")
    raise SourceError(
        f"has no safetensors file, which is all that can be read over the web; it has {_some(names) or 'no files'}: "
        "download one, and give its path"
    )


def _some(names: list[str]) -> str:
    return listed(names, most=12, separator=", ")
