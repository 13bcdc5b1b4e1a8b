"""Credentials in addresses and in the environment, given to every command: nothing that is written holds one."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tests.cli.every_command import GIVEN, Planted
from tests.filters.servers import Site, raw, redirect, serve

from firstlight.cli import main
from firstlight.utils import addresses

SECRET = "S3CRET"  # in all of them
QUERY = f"?token={SECRET}query&X-Amz-Signature={SECRET}signature#{SECRET}fragment"
ENVIRONMENT = {
    "HF_TOKEN": f"hf_{SECRET}hub",
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}aws",
    "HTTPS_PROXY": f"http://proxy:{SECRET}proxy@127.0.0.1:9",
}
SOURCES = {
    "good": "{site}/net.safetensors" + QUERY,
    "absent": "{site}/none.safetensors" + QUERY,
    "redirects to a signed address": "{site}/signed.safetensors" + QUERY,
    "redirects to an address with a password": "{site}/password.safetensors" + QUERY,
    "breaks off": "{site}/cut.safetensors" + QUERY,
    "echoes": "{site}/echo.safetensors" + QUERY,
    "password": f"http://user:{SECRET}word@127.0.0.1:9/net.safetensors" + QUERY,
    "user alone": f"https://{SECRET}user@127.0.0.1:9/net.pth",
    "store": f"s3://key:{SECRET}store@bucket/net.npz" + QUERY,
    "hub": "hf:owner/name" + QUERY,
    "token itself": f"hf_{SECRET}hub",
}
INPUT = Path("planted-input")


@pytest.fixture(scope="module")
def site():
    with serve() as site:
        net = {"conv1.weight": np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)}
        site.files["/net.safetensors"] = safetensors.numpy.save(net)
        site.replies["/signed.safetensors"] = redirect(f"/gone?X-Amz-Signature={SECRET}signed")
        target = f"http://user:{SECRET}redirected@127.0.0.1/x"
        site.replies["/password.safetensors"] = redirect(target)
        site.replies["/cut.safetensors"] = raw(b"HTTP/1.1 200 OK\r\nContent-Le")
        echo = f"HTTP/1.1 418 {SECRET} Bearer {SECRET}\r\nContent-Length: 6\r\n\r\n{SECRET}".encode()
        site.replies["/echo.safetensors"] = raw(echo)
        yield site


def lines(command: tuple[str, ...], source: str, out: Path) -> list[list[str]]:
    """What a command is given in other tests, with the source wherever it reads something."""
    paths = dict.fromkeys(Planted.__dataclass_fields__, INPUT)
    given = GIVEN[command](Planted(**{**paths, "run": str(INPUT), "out": out}))
    return [[*command, *(str(one).replace(str(INPUT), source) for one in line)] for line in given]


def written(folder: Path) -> bytes:
    """All bytes of all files, those in archives unpacked, and their names."""
    parts = []
    for path in folder.rglob("*"):
        parts.append(str(path.relative_to(folder)).encode())
        if path.is_file():
            parts.append(path.read_bytes())
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    parts += [archive.read(name).replace(b"\0", b"") for name in archive.namelist()]
    return b"\n".join(parts)


@pytest.mark.parametrize("command", GIVEN, ids=" ".join)
def test_no_credential_is_in_anything_that_is_written(command, site: Site, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("HOME", "XDG_CACHE_HOME", "FIRSTLIGHT_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("FIRSTLIGHT_LOG", "debug")
    addresses._known.cache_clear()
    (tmp_path / "out").mkdir()
    for source in SOURCES.values():
        for line in lines(command, source.format(site=site.url), tmp_path / "out"):
            monkeypatch.setattr(sys, "argv", ["firstlight", *line])
            main([*line, "--traceback"])
            printed = capsys.readouterr()
            assert SECRET not in printed.out + printed.err, line
            assert "unexpected" not in printed.err, line
    found = written(tmp_path)
    assert SECRET.encode() not in found, found[max(0, found.index(SECRET.encode()) - 300) :][:600]
    addresses._known.cache_clear()


def test_the_server_was_asked_and_the_page_written(site: Site, tmp_path: Path, monkeypatch, capsys):
    source = SOURCES["good"].format(site=site.url)
    monkeypatch.setattr(sys, "argv", ["firstlight", "inspect", source])
    assert main(["inspect", source, "--html", str(tmp_path / "i.html"), "--json", "-"]) == 0
    assert SECRET in site.paths[-1]  # it was sent
    page = (tmp_path / "i.html").read_text()
    assert f"firstlight inspect {site.url}/net.safetensors<" in page
    assert SECRET not in page + capsys.readouterr().out
