"""TLS and basic auth: who is let in, who is not, and what a run says of it."""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.network.own_central import own_central
from tests.network.running import ROOT, run

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

PASSWORD = "correct-horse"
SCENARIO = """
version: 1
name: secure
csms:
  url: "${CSMS_URL}"
  call_timeout: 5s
AUTHfleets: {demo: {count: 10, ID authorize: 3600/h}}
stages: [{for: 2s, online: 100%, jump: true}]
"""


def scenario(auth: str = "", identities: str = "") -> str:
    return SCENARIO.replace("AUTH", f"  {auth}\n" if auth else "").replace("ID", identities)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, for 127.0.0.1, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "crt.pem", folder / "key.pem"
    done = subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(crt)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"this openssl cannot make the certificate: {done.stderr.strip()[-200:]}")
    return crt, key


@pytest.fixture(scope="module")
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_a_csms_with_a_certificate_of_its_own_is_reached_with_its_ca(
    certificate: tuple[Path, Path], tls: ssl.SSLContext, tmp_path: Path
) -> None:
    with own_central(tls) as central:
        ended = run(scenario(f'auth: {{ca: "{certificate[0]}"}}'), tmp_path, url=central.url)

    summary = ended.check()
    assert summary["charge_points"]["booted"] == len(central.identities) == 10
    assert {name: of["answered"] for name, of in summary["actions"].items()} == central.actions
    assert summary["connections"]["lost"] == 0


def test_a_certificate_of_an_unknown_ca_is_refused_as_tls(tls: ssl.SSLContext, tmp_path: Path) -> None:
    with own_central(tls) as central:
        ended = run(scenario(), tmp_path, url=central.url)

    summary = ended.check([3])
    assert set(summary["connections"]["refused"]) == {"tls"}
    (line,) = ended.stderr.splitlines()
    assert "tls" in line
    assert "certificate verify failed" in line
    assert central.identities == set()


@contextmanager
def loadsim_csms(*options: str) -> Iterator[str]:
    """Run `loadsim csms` while the block lasts; give its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "loadsim.cli", "csms", "--port", "0", *options],
        cwd=ROOT,
        env={**os.environ, "LOADSIM_CSMS_PASSWORD": PASSWORD},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "ws://127.0.0.1:" in line, line
            yield next(word for word in line.split() if word.startswith("ws://"))
        finally:
            process.kill()


@pytest.mark.parametrize("given", ["one for all", "per file"])
def test_the_right_password_opens_the_door_and_is_written_nowhere(given: str, tmp_path: Path) -> None:
    if given == "one for all":
        text = scenario('auth: {password: "${SECRET}"}')
    else:
        rows = "".join(f"CP {number},{PASSWORD}\n" for number in range(10))
        (tmp_path / "ids.csv").write_text(f"id,password\n{rows}")
        text = scenario(identities=f'id: {{file: "{tmp_path / "ids.csv"}"}},')
    with loadsim_csms() as url:
        ended = run(text, tmp_path, "--json", url=url, environ={"SECRET": PASSWORD})

    summary = ended.check()
    assert summary["charge_points"]["booted"] == 10
    assert summary["connections"]["refused"] == {}
    written = ended.stdout + ended.stderr + "".join(path.read_text() for path in ended.folder.iterdir())
    assert PASSWORD not in written


def test_a_wrong_password_is_refused_as_http_401(tmp_path: Path) -> None:
    with loadsim_csms() as url:
        ended = run(scenario('auth: {password: "${SECRET}"}'), tmp_path, url=url, environ={"SECRET": "wrong-horse"})

    summary = ended.check([3])
    assert set(summary["connections"]["refused"]) == {"http_401"}
    (line,) = ended.stderr.splitlines()
    assert "http_401" in line
    assert "wrong-horse" not in line
