"""A scheduler with TLS, as docs/scale.md says: who has the certificate works there, who has none is turned away."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.training.dask_cluster import Cluster

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")

WORK = """
import sys, firstlight as fl
with fl.open_engine("dask", scheduler=sys.argv[1]) as engine:
    print(dict(engine.run(abs, [-1, -2])))
"""


def work(address: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WORK, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **variables})


def certificate(folder: Path) -> tuple[str, str]:
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    subprocess.run([*made.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_only_who_has_the_certificate_is_let_in(tmp_path):
    cert, key = certificate(tmp_path)
    with contextlib.ExitStack() as stack:
        cluster = Cluster(tmp_path, stack, "tls", f"--tls-ca-file={cert}", f"--tls-cert={cert}", f"--tls-key={key}")
        cluster.start_workers(1)
        refused = work(cluster.address)
        assert f"InputError: the scheduler {cluster.address} asks for a certificate, and none" in refused.stderr
        names = {"CA_FILE": cert, "CLIENT__CERT": cert, "CLIENT__KEY": key}
        done = work(cluster.address, **{f"DASK_DISTRIBUTED__COMM__TLS__{name}": path for name, path in names.items()})
        assert (done.returncode, done.stdout) == (0, "{0: 1, 1: 2}\n"), done.stderr
