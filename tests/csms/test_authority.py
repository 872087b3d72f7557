"""The authority of the embedded CSMS: what it certifies, what it refuses, and the file in which it is kept."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.csms.authority import VALID_FOR, Authority, open_authority
from loadsim.v16.certificates import Certificates
from tests.support import WALL
from tests.v16.authorities import DAY, name

KEY = ec.generate_private_key(ec.SECP256R1())
AUTHORITY = Authority.make(WALL)
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")


def csr(subject: x509.Name | None = None, key: Any = KEY, algorithm: Any = hashes.SHA256()) -> str:  # noqa: B008
    builder = x509.CertificateSigningRequestBuilder().subject_name(name("CP1") if subject is None else subject)
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


GOOD = x509.load_pem_x509_csr(csr().encode()).public_bytes(Encoding.DER)


def signed(text: str, authority: Authority = AUTHORITY) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.sign(text, WALL).encode())


def of(authority: Authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.pem.encode())


def test_a_charge_point_that_trusts_the_authority_takes_what_it_signs() -> None:
    held = Certificates()
    assert held.install("CentralSystemRootCertificate", AUTHORITY.pem, WALL, most=1) == "Accepted"

    assert held.take_signed(AUTHORITY.sign(held.request_signature("CP1", "Volts Ltd"), WALL), WALL) is None


def test_a_charge_point_that_trusts_another_authority_does_not() -> None:
    held = Certificates()
    held.install("CentralSystemRootCertificate", Authority.make(WALL).pem, WALL, most=1)

    assert held.take_signed(AUTHORITY.sign(held.request_signature("CP1", "Volts Ltd"), WALL), WALL) is not None


def test_a_certificate_has_the_name_and_the_key_that_were_asked_for_and_is_for_a_client() -> None:
    certificate = signed(csr(name("CP 7", "Volts Ltd")))

    assert certificate.subject == name("CP 7", "Volts Ltd")
    assert certificate.public_key() == KEY.public_key()
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(of(AUTHORITY))


def test_a_certificate_is_valid_for_a_year_and_no_longer_than_its_authority() -> None:
    root = of(AUTHORITY)
    late = root.not_valid_after_utc - DAY
    last = x509.load_pem_x509_certificate(AUTHORITY.sign(csr(), late).encode())

    assert signed(csr()).not_valid_before_utc == WALL - DAY
    assert signed(csr()).not_valid_after_utc == WALL + VALID_FOR
    assert last.not_valid_after_utc == root.not_valid_after_utc == WALL + 10 * VALID_FOR


def test_an_authority_is_one_and_no_two_have_the_same_name() -> None:
    root = of(AUTHORITY)

    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is True
    assert root.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    root.verify_directly_issued_by(root)
    assert root.subject != of(Authority.make(WALL)).subject


def test_no_two_certificates_have_the_same_serial_number() -> None:
    assert signed(csr()).serial_number != signed(csr()).serial_number


@pytest.mark.parametrize("size", [2048, 3072])
def test_an_rsa_key_is_certified(size: int) -> None:
    key = rsa.generate_private_key(65537, size)

    assert signed(csr(key=key)).public_key() == key.public_key()


def tampered() -> str:
    """A request whose name was changed after it was signed."""
    der = x509.load_pem_x509_csr(csr(name("CP1")).encode()).public_bytes(Encoding.DER)
    changed = x509.load_der_x509_csr(der.replace(b"CP1", b"CP2"))
    return changed.public_bytes(Encoding.PEM).decode()


def in_pem(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


def key_in_pem() -> str:
    return KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


TWO_NAMES = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in ("CP1", "CP2")])
REFUSALS: dict[str, Callable[[], str]] = {
    "it is no PKCS #10 request in PEM": lambda: "nonsense",
    "it is no PKCS #10 request in PEM ": key_in_pem,
    "it is no PKCS #10 request in PEM  ": lambda: AUTHORITY.pem,
    "its key is of another kind than RSA and ECDSA": lambda: csr(
        key=ed25519.Ed25519PrivateKey.generate(), algorithm=None
    ),
    "its key is too short": lambda: csr(key=ec.generate_private_key(ec.SECP192R1())),
    "its key is too short ": lambda: csr(key=rsa.generate_private_key(65537, 1024)),  # noqa: S505
    "it is not signed with its key": tampered,
    "it does not have one common name": lambda: csr(x509.Name([])),
    "it does not have one common name ": lambda: csr(TWO_NAMES),
    "it does not have one common name  ": lambda: csr(name("  ")),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_is_no_good_request_is_refused_with_the_reason(reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason.strip()}$"):
        AUTHORITY.sign(REFUSALS[reason](), WALL)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_request_is_refused_or_certified_and_nothing_else(changes: list[tuple[int, int]]) -> None:
    der = bytearray(GOOD)
    for place, byte in changes:
        der[place % len(der)] = byte

    try:
        certificate = signed(in_pem(bytes(der)))
    except ValueError:
        return  # refused
    certificate.verify_directly_issued_by(of(AUTHORITY))


# The file.


def test_an_authority_that_is_kept_is_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "csms.db.authority.pem"
    made = open_authority(path, WALL)
    again = open_authority(path, WALL + timedelta(days=30))

    assert again.pem == made.pem
    signed(csr(), again).verify_directly_issued_by(of(made))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_without_a_file_it_is_kept_nowhere() -> None:
    assert open_authority(None, WALL).pem != open_authority(None, WALL).pem


@posix
def test_nobody_else_may_read_the_private_key_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    before = os.umask(0)
    try:
        open_authority(path, WALL)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o600


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_private_key_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.pem"
    open_authority(path, WALL)
    path.chmod(mode)

    with pytest.raises(ValueError, match=r"^a\.pem: .*others may read the private key in it$"):
        open_authority(path, WALL)


def damaged() -> dict[str, bytes]:
    good, other = AUTHORITY.as_bytes(), Authority.make(WALL)
    key = good.partition(b"-----BEGIN CERTIFICATE")[0]
    return {
        "empty": b"",
        "cut": good[:-200],
        "no key": AUTHORITY.pem.encode(),
        "no certificate": key,
        "another's key": key + other.pem.encode(),
        "no PEM": b"\0\xff" * 100,
    }


@pytest.mark.parametrize("what", damaged())
def test_a_file_that_is_no_authority_is_refused_and_left_as_it_was(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.pem"
    content = damaged()[what]
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ValueError, match=r"^a\.pem: expected an authority of `loadsim csms --db`: "):
        open_authority(path, WALL)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a\.pem: No such file or directory$"):
        open_authority(tmp_path / "no such folder" / "a.pem", WALL)


def test_a_new_file_that_was_not_finished_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "a.pem.new").write_bytes(b"half")

    assert open_authority(tmp_path / "a.pem", WALL).pem == open_authority(tmp_path / "a.pem", WALL).pem


def test_cryptography_is_not_imported_with_the_server() -> None:
    code = "import sys, loadsim.csms.__main__, loadsim.csms_command; sys.exit('cryptography' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
