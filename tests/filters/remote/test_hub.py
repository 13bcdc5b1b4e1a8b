import json
import logging
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from tests.filters.servers import Site, endless, raw, redirect, serve

from firstlight.errors import InputError, SourceError
from firstlight.filters.choice.tensors import TensorFile
from firstlight.filters.remote.hub import read_remote
from firstlight.filters.remote.web import may_carry_token

TOKEN = "hf_secret0123456789"
WEIGHT = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
SMALL = safetensors.numpy.save({"conv1.weight": WEIGHT, "fc.weight": np.ones((2, 8), np.float16)})
FOLDER = "/org/net/resolve/main"
HEAD = b"HTTP/1.1 206 Partial Content\r\n"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A hub: its own environment, no proxies, and nobody's token."""
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serve() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.files[f"{FOLDER}/model.safetensors"] = SMALL
        yield running


@pytest.fixture
def other(site: Site) -> Iterator[Site]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of 400 MB, most of it a hole: a header of 7 kB, then 400 MB of one tensor, then the filters."""
    shape = [1000, 100_000]
    size = 4 * shape[0] * shape[1]
    header: dict[str, Any] = {"fc.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}
    header["conv1.weight"] = {"dtype": "F32", "shape": WEIGHT.shape, "data_offsets": [size, size + WEIGHT.nbytes]}
    end = size + WEIGHT.nbytes
    header |= {f"norm{i}": {"dtype": "F32", "shape": [0], "data_offsets": [end, end]} for i in range(100)}
    text = json.dumps(header).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.seek(size, 1)
        file.write(WEIGHT.tobytes())
    return path


def weight_of(file: TensorFile, name: str = "conv1.weight") -> np.ndarray:
    return next(entry for entry in file.entries if entry.name == name).read()


def read_all(source: str) -> None:
    for entry in read_remote(source).entries:
        entry.read()


def refusal(source: str, kind: type[Exception] = SourceError) -> str:
    """The message with which a source is refused, at the latest when a tensor is read."""
    with pytest.raises(kind) as caught:
        read_all(source)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 500
    assert TOKEN not in message
    return message


def test_of_400_mb_some_tens_of_kilobytes_are_read(site: Site, large: Path):
    site.files["/large.safetensors"] = large
    file = read_remote(f"{site.url}/large.safetensors")
    np.testing.assert_array_equal(weight_of(file), WEIGHT)
    assert site.sent == 65536 + WEIGHT.nbytes == 66400
    assert list(file.notes) == ["66.4 kB of 400.0 MB read in 2 requests"]
    assert site.header("Range")[0] == "bytes=0-65535"
    assert site.header("Accept-Encoding") == ["identity"] * 2


def test_a_small_file_takes_one_request(site: Site):
    file = read_remote("hf:org/net")
    assert (file.source, file.ordered) == ("hf:org/net", False)
    np.testing.assert_array_equal(weight_of(file), WEIGHT)
    assert site.paths == [f"{FOLDER}/model.safetensors"]
    assert list(file.notes) == [f"{len(SMALL) / 1000:.1f} kB of {len(SMALL) / 1000:.1f} kB read in 1 request"]


def test_a_header_beyond_the_first_request(site: Site):
    arrays = {f"{'x' * 200}{i}": np.full(2, i, np.float32) for i in range(2000)}
    site.files["/a.safetensors"] = safetensors.numpy.save(arrays)
    file = read_remote(f"{site.url}/a.safetensors")
    assert len(file.entries) == 2000
    np.testing.assert_array_equal(weight_of(file, "x" * 200 + "1999"), [1999, 1999])
    first, rest, _tensor = (re.findall(r"\d+", text or "") for text in site.header("Range"))
    assert (first[1], rest[0]) == ("65535", "65536")


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("hf:org/net@v1.0", "/org/net/resolve/v1.0/model.safetensors"),
        ("hf:org/net@refs%2Fpr%2F1", "/org/net/resolve/refs%2Fpr%2F1/model.safetensors"),
        ("hf:org/net/sub/x y.safetensors", "/org/net/resolve/main/sub/x%20y.safetensors"),
        ("hf:or.g/n_e-t@0123abc/a%2e.safetensors", "/or.g/n_e-t/resolve/0123abc/a%252e.safetensors"),
    ],
)
def test_revisions_and_files(site: Site, source: str, path: str):
    site.files[path] = SMALL
    np.testing.assert_array_equal(weight_of(read_remote(source)), WEIGHT)
    assert site.paths == [path]


@pytest.mark.parametrize(
    "source",
    [
        *(
            "hf:",
            "hf:net",
            "hf:org/",
            "hf:/net",
            "hf:org/net@",
            "hf:org/net/",
            "hf:org/net@a@b",
            "hf:../net",
            "hf:org/..",
        ),
        *("hf:org/a..b", "hf:org/net@..", "hf:org/net@a%2F..%2Fb", "hf:org/net@-a b", "hf:org/net@a%0Ab", "hf:o g/net"),
        *("hf:org/net/../../x.safetensors", "hf:org/net//x.safetensors", "hf:org/net/a\\b.safetensors"),
        *("hf:org/net/a\nb.safetensors", "hf:org/net?x=1", "hf:org/net#x", "hf:orgß/net", "hf:org/net/./x.safetensors"),
    ],
)
def test_names_that_are_none_are_refused_before_anything_is_sent(site: Site, source: str):
    assert refusal(source, InputError).startswith("the source is 'hf:")
    assert site.asked == []


@pytest.mark.parametrize("source", ["hf:org/net/pytorch_model.bin", "hf:org/net/config.json", "https://h/x.onnx"])
def test_other_formats_are_refused_before_anything_is_sent(site: Site, source: str):
    assert "only safetensors can be read over the web: download it" in refusal(source, InputError)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https:///x", "does not begin with https:// or http:// and a host"),
        ("https://[::1/x", "the address is malformed"),
        ("https://host:99999/x", "the address is malformed"),
        ("https://me:pw@host/x", "the address carries a user name or password"),
        ("ftp://host/x", "does not begin with https:// or http://"),
    ],
)
def test_addresses_that_are_none(source: str, message: str):
    text = refusal(source, InputError)
    assert message in text
    assert "pw" not in text


@pytest.mark.parametrize("endpoint", ["huggingface.co", "file:///etc", "https://me:pw@host"])
def test_an_endpoint_that_is_none(site: Site, monkeypatch: pytest.MonkeyPatch, endpoint: str):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    text = refusal("hf:org/net", InputError)
    assert text.startswith("HF_ENDPOINT: the address ")
    assert "pw" not in text


def shards(count: int) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    arrays = {f"layers.{i}.weight": np.full((2, 1, 1, 1), i, np.float32) for i in range(count)}
    files = {f"model-{i}.safetensors": safetensors.numpy.save({name: arrays[name]}) for i, name in enumerate(arrays)}
    index = {"weight_map": dict(zip(arrays, files, strict=True))}
    return files | {"model.safetensors.index.json": json.dumps(index).encode()}, arrays


def test_shards(site: Site):
    files, arrays = shards(3)
    site.files = {f"{FOLDER}/{name}": content for name, content in files.items()}
    file = read_remote("hf:org/net")
    assert [entry.name for entry in file.entries] == list(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(weight_of(file, name), values)
    assert next(iter(file.notes)).endswith("read in 3 requests")


@pytest.mark.parametrize(
    "source", ["hf:org/net/sub/model.safetensors.index.json", "SITE/org/net/resolve/main/sub/INDEX"]
)
def test_shards_lie_beside_their_index(site: Site, source: str):
    files, arrays = shards(2)
    site.files = {f"{FOLDER}/sub/{name}": content for name, content in files.items()}
    file = read_remote(source.replace("SITE", site.url).replace("INDEX", "model.safetensors.index.json"))
    np.testing.assert_array_equal(weight_of(file, "layers.1.weight"), arrays["layers.1.weight"])


def test_an_index_of_too_many_or_of_missing_shards(site: Site):
    files, _ = shards(65)
    site.files = {f"{FOLDER}/{name}": content for name, content in files.items()}
    assert "is in 65 files; expected at most 64" in refusal("hf:org/net")
    files, _ = shards(2)
    del files["model-1.safetensors"]
    site.files = {f"{FOLDER}/{name}": content for name, content in files.items()}
    assert refusal("hf:org/net").startswith("hf:org/net: model-1.safetensors: the server answered 404 Not Found")


def listing(*names: Any) -> bytes:
    return json.dumps({"siblings": [{"rfilename": name} for name in names]}).encode()


def test_the_only_safetensors_file_is_found_in_the_listing(site: Site):
    site.files = {
        "/api/models/org/net/revision/v%2F1": listing("README.md", "unet/diffusion.safetensors"),
        "/org/net/resolve/v%2F1/unet/diffusion.safetensors": SMALL,
    }
    np.testing.assert_array_equal(weight_of(read_remote("hf:org/net@v%2F1")), WEIGHT)
    assert len(site.asked) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (listing("a.safetensors", "b/c.safetensors"), "say which, as in hf:org/net/a.safetensors: a.safetensors, b/c"),
        (
            listing("pytorch_model.bin", "x.onnx"),
            "has no safetensors file, .* it has pytorch_model.bin, x.onnx: download",
        ),
        (listing(), "it has no files"),
        (listing(*(f"{i}.bin" for i in range(99))), "11.bin, and 87 more"),
        (listing("../a.safetensors", "a\nb.safetensors", 3, None, "/etc/x.safetensors"), "it has no files"),
        (b"[]", "it has no files"),
        (b'{"siblings": [1, [], {"x": 2}]}', "it has no files"),
        (b"<html>", "the hub's answer is not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * 16_000_001, "sent more than 16,000,000 bytes; expected a list"),
    ],
)
def test_listings_without_one_file(site: Site, content: bytes, message: str):
    site.files = {"/api/models/org/net/revision/main": content}
    assert re.search(message, refusal("hf:org/net"))


def test_the_token_goes_to_the_hub(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "older")
    read_remote("hf:org/net")
    monkeypatch.setenv("HF_TOKEN", f" {TOKEN}\n")
    read_remote("hf:org/net")
    site.files = {f"{FOLDER}/x.safetensors": SMALL, "/api/models/org/net/revision/main": listing("x.safetensors")}
    read_remote("hf:org/net")
    assert site.header("Authorization") == ["Bearer older"] + [f"Bearer {TOKEN}"] * 5


def test_the_log_tells_addresses_without_what_may_be_secret(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, logger="firstlight")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    site.replies[f"{FOLDER}/model.safetensors"] = redirect("/signed.safetensors?Signature=secret")
    site.files["/signed.safetensors"] = SMALL
    read_remote("hf:org/net")
    assert site.header("Authorization")[0] == f"Bearer {TOKEN}"
    assert f"GET {site.url}{FOLDER}/model.safetensors bytes=0-" in caplog.text
    assert f"GET {site.url}/signed.safetensors bytes=0-" in caplog.text
    assert "secret" not in caplog.text


def test_the_token_goes_nowhere_else(site: Site, other: Site, monkeypatch: pytest.MonkeyPatch):
    """Neither to another port, nor to another name of the same host, nor back home after that, nor to any address."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NETRC", "/dev/null")
    other.files["/cdn"] = SMALL
    site.files["/again"] = SMALL
    address = f"{FOLDER}/model.safetensors"
    for target in (f"{other.url}/cdn?signature=1", other.url.replace("127.0.0.1", "localhost") + "/cdn"):
        site.replies[address] = redirect(target)
        np.testing.assert_array_equal(weight_of(read_remote("hf:org/net")), WEIGHT)
    assert len(other.asked) == 2
    assert other.header("Authorization") == other.header("Cookie") == [None] * 2
    other.replies["/back"] = redirect(f"{site.url}/again")
    site.replies[address] = redirect(f"{other.url}/back")
    read_remote("hf:org/net")
    read_remote(f"{site.url}/again")
    assert [asked.headers.get("Authorization") for asked in site.asked if asked.path == "/again"] == [None, None]
    assert other.header("Authorization") == [None] * 3
    assert [asked.headers.get("Authorization") for asked in site.asked if asked.path == address] == [
        f"Bearer {TOKEN}"
    ] * 3


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_over_tls(site: Site, certificate: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    address = f"{FOLDER}/model.safetensors"
    with serve(certificate) as hub, serve(certificate) as cdn:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert "the server's certificate is not accepted" in refusal("hf:org/net")
        assert hub.asked == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        cdn.files["/cdn"] = SMALL
        hub.replies[address] = redirect(f"{cdn.url}/cdn")
        np.testing.assert_array_equal(weight_of(read_remote("hf:org/net")), WEIGHT)
        assert hub.header("Authorization") == [f"Bearer {TOKEN}"]
        assert cdn.header("Authorization") == [None]
        for elsewhere in (f"{site.url}{address}", hub.url.replace("https", "http") + "/x"):
            hub.replies[address] = redirect(elsewhere)
            assert "away from https, which is not followed" in refusal("hf:org/net")
    assert site.asked == []


def test_redirects_within_the_hub_keep_the_token(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    site.replies["/old/net/resolve/main/model.safetensors"] = redirect(f"{FOLDER}/model.safetensors", 307)
    np.testing.assert_array_equal(weight_of(read_remote("hf:old/net")), WEIGHT)
    assert site.header("Authorization") == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize("endpoint", ["http://example.invalid", "http://127.0.0.1.example.invalid"])
def test_the_token_is_not_sent_unencrypted_to_another_machine(
    site: Site, monkeypatch: pytest.MonkeyPatch, endpoint: str
):
    """The local server is the proxy here, and so sees what would go over the wire."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HTTP_PROXY", site.url)
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    site.files[f"{endpoint}{FOLDER}/model.safetensors"] = SMALL
    np.testing.assert_array_equal(weight_of(read_remote("hf:org/net")), WEIGHT)
    assert site.header("Authorization") == [None]


def test_requests_to_this_machine_go_past_a_proxy(site: Site, other: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("http_proxy", other.url)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    np.testing.assert_array_equal(weight_of(read_remote("hf:org/net")), WEIGHT)
    assert other.asked == []


def test_what_may_carry_the_token():
    home = "https://hub.example"
    for same in ("https://hub.example/x", "https://HUB.example:443", "https://hub.example?x@y"):
        assert may_carry_token(same, home)
    for other in (
        *("http://hub.example/x", "https://hub.example:444", "https://hub.example.evil", "https://evil/hub.example"),
        *("https://hub.example\\.evil", "https://xhub.example", "https://evil#hub.example", "https://evil?hub.example"),
    ):
        assert not may_carry_token(other, home)
    assert not may_carry_token("http://hub.example", "http://hub.example")
    assert may_carry_token("http://[::1]:80/x", "http://[::1]")
    assert not may_carry_token("https://hub.example", "")


def test_credentials_of_the_users_netrc_are_not_used(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    read_remote("hf:org/net")
    read_remote(f"{site.url}{FOLDER}/model.safetensors")
    assert site.header("Authorization") == [None, None]


@pytest.mark.parametrize("token", ["two words", "hf_\x07", "hf_ß"])
def test_a_token_that_is_none_is_not_shown(site: Site, monkeypatch: pytest.MonkeyPatch, token: str):
    monkeypatch.setenv("HF_TOKEN", token)
    message = refusal("hf:org/net", InputError)
    assert message == "HF_TOKEN holds characters that no token has; expected printable ASCII"
    assert site.asked == []


@pytest.mark.parametrize(
    ("status", "hub", "address"),
    [
        (
            401,
            "401 Unauthorized: check the name; if it is private or gated, set HF_TOKEN",
            "download the file, and give",
        ),
        (403, "403 Forbidden: check the name; if it is private or gated, set HF_TOKEN", "download the file, and give"),
        (404, "404 Not Found: check repository, revision and file", "404 Not Found: check the address"),
        (416, "the file is empty, or shorter", "the file is empty, or shorter"),
        (429, "429 Too Many Requests: try again later", "try again later"),
        (503, "503 Service Unavailable: try again later", "try again later"),
        (204, "204 No Content; expected 200 or 206", "204 No Content; expected 200 or 206"),
        (799, "the server answered 799; expected 200 or 206", "the server answered 799"),
    ],
)
def test_answers_that_are_refusals(site: Site, monkeypatch: pytest.MonkeyPatch, status: int, hub: str, address: str):
    """The reason that the server itself gives is not repeated: it could be anything."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    answer = raw(f"HTTP/1.1 {status} {TOKEN}\x1b[2J\r\nContent-Length: 0\r\n\r\n".encode())
    site.replies[f"{FOLDER}/x.safetensors"] = answer
    message = refusal("hf:org/net/x.safetensors")
    assert message.startswith(f"hf:org/net/x.safetensors: the server answered {status}")
    assert hub in message
    assert address in refusal(f"{site.url}{FOLDER}/x.safetensors?signature=1")
    assert "signature" not in refusal(f"{site.url}{FOLDER}/x.safetensors?signature=1")


def test_nothing_of_that_name_anywhere(site: Site):
    assert "404 Not Found: check repository, revision and file" in refusal("hf:org/none")
    assert len(site.asked) == 3


def test_a_server_without_ranges(site: Site, tmp_path: Path):
    arrays = {"a": np.zeros((1000, 5000), np.float32), "conv1.weight": WEIGHT}
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    site.files["/a.safetensors"] = tmp_path / "a.safetensors"
    site.ranges = False
    file = read_remote(f"{site.url}/a.safetensors")
    np.testing.assert_array_equal(weight_of(file), WEIGHT)
    note = next(iter(file.notes))
    assert note == "the server does not support range requests: 20.1 MB were read"


def test_a_stream_without_a_length_is_discarded_in_constant_memory(site: Site, large: Path):
    """In a process of its own, whose peak memory is its own: 400 MB pass through."""

    def reply(handler: Any) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        site.send(handler, large, 0, large.stat().st_size)

    site.replies["/large.safetensors"] = reply
    script = (
        "import sys, resource\nfrom firstlight.filters.remote.hub import read_remote\n"
        "file = read_remote(sys.argv[1])\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "weight = next(entry for entry in file.entries if entry.name == 'conv1.weight').read()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, weight.sum().hex(), *file.notes)"
    )
    command = [sys.executable, "-c", script, f"{site.url}/large.safetensors"]
    grown, total, *note = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert int(grown) < 20_000  # KiB
    assert float.fromhex(total) == WEIGHT.astype(np.float64).sum()
    assert " ".join(note) == "the server does not support range requests: 400.1 MB were read"


def test_a_tensor_too_far_into_a_stream_is_refused_at_once(site: Site):
    size = 3 << 30
    text = json.dumps({"w": {"dtype": "U8", "shape": [4], "data_offsets": [size, size + 4]}}).encode()
    start = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (8 + len(text) + size + 4)
    site.replies["/x"] = endless(site, start + struct.pack("<Q", len(text)) + text, bytes(1 << 16))
    assert "does not support range requests, and 3.2 GB would have to be read, more than 2.1 GB" in refusal(
        f"{site.url}/x"
    )


@pytest.mark.parametrize("ranges", [True, False])
def test_a_server_that_breaks_off_once_is_asked_for_the_rest(site: Site, ranges: bool):
    site.files["/x"] = safetensors.numpy.save({"w": np.arange(100_000.0)})
    site.ranges, site.cuts = ranges, 1
    file = read_remote(f"{site.url}/x")
    site.cuts = 1
    np.testing.assert_array_equal(weight_of(file, "w"), np.arange(100_000.0))
    asked = [int(re.findall(r"\d+", text or "")[0]) for text in site.header("Range")]
    # Of a whole file that breaks off, the first request has all that it needs.
    assert asked == ([0, 32768, 72, 400072] if ranges else [0, 72, 400036])


@pytest.mark.parametrize("ranges", [True, False])
def test_a_server_that_always_breaks_off(site: Site, ranges: bool):
    site.ranges, site.cuts = ranges, 1000
    assert re.search(
        r"hf:org/net: the server broke off after [\d,]+ of 65,536 bytes, twice: try", refusal("hf:org/net")
    )
    assert len(site.asked) == 2


@pytest.mark.parametrize("when", ["between", "within"])
def test_a_file_that_changes_while_it_is_read(site: Site, when: str):
    site.files["/x"] = safetensors.numpy.save({"w": np.arange(100_000.0)})
    file = read_remote(f"{site.url}/x")
    if when == "between":
        site.etag = '"two"'
    else:
        site.files["/x"] = safetensors.numpy.save({"w": np.arange(100_001.0)})
    with pytest.raises(SourceError, match="the file changed on the server while it was read: try again"):
        weight_of(file, "w")


def test_silence(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firstlight.filters.remote.web._SILENCE", 0.3)
    total = f"HTTP/1.1 206 x\r\nContent-Range: bytes 0-{len(SMALL) - 1}/{len(SMALL)}\r\n\r\n".encode()
    for start in (b"", b"HTTP/1.1 2", total + SMALL[:99]):
        site.replies["/x"] = endless(site, start, b"", pause=30)
        begin = time.monotonic()
        assert "the server was silent for 0.3 s" in refusal(f"{site.url}/x")
        assert time.monotonic() - begin < 3


@pytest.mark.parametrize(
    ("start", "piece", "pause"),
    [
        (b"HTTP/1.1 206 x\r\nContent-Range: bytes 0-65535/400000\r\n\r\n", b"a", 0.02),  # a byte at a time
        (b"HTTP/1.1 206 x\r\nX: ", b"a", 0.02),  # likewise, in the headers
        (b"HTTP/1.1 206 x\r\n", b"X: y\r\n", 0.02),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),  # never comes to the point
    ],
)
def test_a_server_that_is_slow_without_end_meets_the_time_limit(
    site: Site, monkeypatch: pytest.MonkeyPatch, start: bytes, piece: bytes, pause: float
):
    monkeypatch.setenv("FIRSTLIGHT_FETCH_LIMIT", "0.5")
    site.replies["/x"] = endless(site, start, piece, pause)
    begin = time.monotonic()
    assert "not finished after 0.5 s (FIRSTLIGHT_FETCH_LIMIT sets this limit)" in refusal(f"{site.url}/x")
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 9999), (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (b"", b"noise"), (b"", b"\n")],
)
def test_headers_without_end_are_given_up(site: Site, start: bytes, piece: bytes):
    site.replies["/x"] = endless(site, start, piece)
    assert "the server broke off after 0 of 65,536 bytes, twice" in refusal(f"{site.url}/x")


@pytest.mark.parametrize(
    "content_range",
    [
        *(
            "",
            "bytes 1-65535/400000",
            "bytes 0-65534/400000",
            "bytes 0-65536/400000",
            "bytes 0-65535/100",
            "items 0-1/2",
        ),
        *(
            "bytes 0-99999999999999999999/*",
            "bytes */400000",
            "bytes 5-1/*",
            "bytes -1-65535/400000",
            "bytes 0-65535/ 9",
        ),
        *("bytes ٠-65535/400000", "bytes 0-65535/400000, bytes 7-9/400000", "bytes 0-0/0"),
    ],
)
def test_ranges_that_were_not_asked_for(site: Site, content_range: str):
    head = b"HTTP/1.1 206 x\r\nContent-Range: " + content_range.encode() + b"\r\n\r\n"
    site.replies["/x"] = raw(head + SMALL)
    assert "not with bytes 0-65535 that were asked for" in refusal(f"{site.url}/x")


def test_ranges_of_a_file_whose_size_is_not_told(site: Site):
    head = f"HTTP/1.1 206 x\r\nContent-Range: bytes 0-{len(SMALL) - 1}/*\r\n\r\n".encode()
    site.replies["/x"] = raw(head + SMALL)
    np.testing.assert_array_equal(weight_of(read_remote(f"{site.url}/x")), WEIGHT)


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        (b"Content-Encoding: gzip\r\n", b"\x1f\x8b", "compresses the file although it was asked not to"),
        (b"", b"  <!doctype html><html>Sign in", "is a web page, not a safetensors file"),
        (b"", b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
        (b"", struct.pack("<Q", 2**63), "declares a header of 9,223,372,036,854,775,808 bytes; expected at most"),
        (b"", struct.pack("<Q", 10**8) + b"{", "broke off|ends within its header"),
        (
            b"Content-Length: 9\r\n",
            struct.pack("<Q", 10**8) + b"{",
            "declares a header of 100,000,000 bytes, and has 9",
        ),
        (b"", SMALL[:-1], "fc.weight: holds 31 bytes where|conv1.weight: holds 863 bytes where"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\nzz\r\n", "the server broke off"),
        (b"Transfer-Encoding: chunked\r\n", b"-5\r\nabcde\r\n0\r\n\r\n", "the server broke off"),
        (b"", b"", "ends after 0 bytes"),
    ],
)
def test_bodies_that_are_something_else(site: Site, headers: bytes, body: bytes, message: str):
    site.replies["/x"] = raw(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n" + body)
    assert re.search(message, refusal(f"{site.url}/x"))


def test_a_body_without_end_is_cut_where_enough_was_read(site: Site):
    site.replies["/x"] = endless(site, HEAD + b"Content-Range: bytes 0-65535/99999999\r\n\r\n" + SMALL, bytes(9999))
    np.testing.assert_array_equal(weight_of(read_remote(f"{site.url}/x")), WEIGHT)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/loop", "the server redirects more than 10 times"),
        ("file:///etc/passwd", "redirects elsewhere than the web: the address does not begin with https://"),
        ("ftp://127.0.0.1/x", "redirects elsewhere than the web"),
        ("http://me:pw@127.0.0.1/x", "the address carries a user name"),
        ("http://[::1/x", "redirects elsewhere than the web"),
        ("", "the server redirects to nowhere"),
        ("http://127.0.0.1:99999/x", "the address is malformed"),
        ("http://127.0.0.1:9/x?signature=1", "the connection was refused"),
    ],
)
def test_redirects_that_are_not_followed(site: Site, target: str, message: str):
    site.replies["/loop"] = redirect(target)
    text = refusal(f"{site.url}/loop")
    assert message in text
    assert "signature" not in text
    assert len(site.asked) <= 11


def test_a_redirect_with_a_body_without_end(site: Site):
    start = b"HTTP/1.1 302 x\r\nLocation: " + f"{FOLDER}/model.safetensors".encode() + b"\r\n\r\n"
    site.replies["/x"] = endless(site, start, bytes(9999))
    np.testing.assert_array_equal(weight_of(read_remote(f"{site.url}/x")), WEIGHT)


def test_no_server(site: Site):
    assert "the connection was refused" in refusal("http://127.0.0.1:9/x")
    assert refusal("http://example.invalid./x").startswith("http://example.invalid./x: ")
    assert refusal(f"http://{'a' * 300}/x").startswith("http://aaa")
    assert "certificate is not accepted, or the encryption failed" in refusal(site.url.replace("http", "https") + "/x")


def test_hundreds_of_damaged_answers_are_read_or_refused_in_one_line(site: Site):
    rng = np.random.default_rng(0)
    head = f"HTTP/1.1 206 x\r\nETag: x\r\nContent-Range: bytes 0-{len(SMALL) - 1}/{len(SMALL)}\r\n".encode()
    whole = head + f"Content-Length: {len(SMALL)}\r\n\r\n".encode() + SMALL
    messages = []
    for _ in range(800):
        answer = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(0, 400))
            if rng.random() < 0.7:
                answer[at] ^= 1 << int(rng.integers(0, 8))
            else:
                del answer[at : at + int(rng.integers(1, 30))]
        site.replies["/x"] = raw(bytes(answer))
        try:
            read_all(f"{site.url}/x")
        except (SourceError, InputError) as error:
            messages.append(str(error))
    assert 200 < len(messages) < 800
    assert all(len(message.splitlines()) == 1 for message in messages)
