"""The certificate authority of the embedded CSMS (white paper on security, A02; RFC 5280 and RFC 2986).

Imported only when the first certificate is asked for: it needs `cryptography`, an extra. What it knows of time is
its argument.
"""

from __future__ import annotations

import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR: Final = timedelta(days=365)
"""How long a charge point's certificate is valid; the authority itself is for ten times as long."""

_CLOCKS_DIFFER: Final = timedelta(days=1)  # a certificate begins so much earlier than it is made
_LEAST_RSA: Final = 2048  # A00.FR.502
_LEAST_CURVE: Final = 224  # A00.FR.503
_BEGIN_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_OTHERS: Final = 0o077  # what a file's mode lets its group and everybody do
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows would make CR LF of each LF


class Authority:
    """A key on P-256 and the certificate that it has signed for itself."""

    __slots__ = ("_certificate", "_key")

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def make(cls, now: datetime) -> Authority:
        """Make a new one; no two have the same name."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, f"loadsim CSMS {secrets.token_hex(4)}"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "loadsim"),
            ]
        )
        builder = _builder(name, name, key.public_key(), key, now - _CLOCKS_DIFFER, now + 10 * VALID_FOR)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def read(cls, data: bytes) -> Authority:
        """Read what ``as_bytes`` has written.

        Raises:
            ValueError: it is something else.
        """
        private, begin, rest = data.partition(_BEGIN_CERTIFICATE)
        try:
            key = load_pem_private_key(private, password=None)
            certificate = x509.load_pem_x509_certificate(begin + rest)
            fits = certificate.public_key() == key.public_key()
        except (TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise ValueError(str(error)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not fits:
            raise ValueError("the key is not that of the certificate")
        return cls(key, certificate)

    def as_bytes(self) -> bytes:
        """Return all there is to it, the private key in plain PEM."""
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self._certificate.public_bytes(Encoding.PEM)

    @property
    def pem(self) -> str:
        """Its certificate, the root that charge points have to trust."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def sign(self, csr: str, now: datetime) -> str:
        """Certify the key of a charge point under the name that it asks for; return the certificate in PEM.

        Raises:
            ValueError: it is not certified; the text, one of a few, says why.
        """
        try:
            request = x509.load_pem_x509_csr(csr.encode())
            key, signed, subject = request.public_key(), request.is_signature_valid, request.subject
            names = [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise ValueError("it is no PKCS #10 request in PEM") from error
        if not isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
            raise ValueError("its key is of another kind than RSA and ECDSA")
        if key.key_size < (_LEAST_RSA if isinstance(key, rsa.RSAPublicKey) else _LEAST_CURVE):
            raise ValueError("its key is too short")
        if not signed:
            raise ValueError("it is not signed with its key")
        if len(names) != 1 or not names[0].strip():
            raise ValueError("it does not have one common name")
        issuer, end = self._certificate.subject, self._certificate.not_valid_after_utc
        builder = _builder(subject, issuer, key, self._key, now - _CLOCKS_DIFFER, min(now + VALID_FOR, end))
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()


def open_authority(path: Path | None, now: datetime) -> Authority:
    """Return the authority that is kept at *path*, a new one if there is none; None keeps it nowhere.

    Raises:
        ValueError: the file cannot be used, or others may read the private key in it.
    """
    if path is None:
        return Authority.make(now)
    try:
        if path.exists():
            return Authority.read(_read_private(path))
        made = Authority.make(now)
        _write_private(path, made.as_bytes())
    except OSError as error:
        raise ValueError(f"{path.name}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path.name}: expected an authority of `loadsim csms --db`: {error}") from error
    return made


def _read_private(path: Path) -> bytes:
    with path.open("rb") as file:
        _check_private(file.fileno())
        return file.read()


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that nobody else may read, at no moment; it is whole or not there."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
        _check_private(descriptor)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def _check_private(descriptor: int) -> None:
    # On Windows it is the folder that says who may read, and no mode tells.
    if os.name == "posix" and os.fstat(descriptor).st_mode & _OTHERS:
        raise ValueError("others may read the private key in it")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
