"""Certificates of the tests: authorities that issue what a charge point is sent."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.support import WALL

DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def name(common_name: str, organization: str | None = "Operator") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


@dataclass(frozen=True)
class Held:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        common_name: str = "someone",
        *,
        organization: str | None = "Operator",
        key: Any = None,
        authority: bool | None = None,
        begins: datetime = WALL - DAY,
        ends: datetime = WALL + DAY,
        serial: int | None = None,
    ) -> Held:
        """Issue a certificate; *key* may be a public one."""
        key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
        public = key.public_key() if isinstance(key, Key) else key
        return Held(
            made(name(common_name, organization), public, self, authority, begins, ends, serial),
            key,
        )

    def sign(self, firmware: bytes, scheme: padding.AsymmetricPadding | None = None) -> str:
        if isinstance(self.key, rsa.RSAPrivateKey):
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            signed = self.key.sign(firmware, scheme or salted, hashes.SHA256())
        else:
            signed = self.key.sign(firmware, ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(signed).decode()


def made(
    subject: x509.Name,
    public: Any,
    issuer: Held | tuple[x509.Name, Key],
    authority: bool | None,
    begins: datetime,
    ends: datetime,
    serial: int | None,
) -> x509.Certificate:
    issuer_name, key = (issuer.certificate.subject, issuer.key) if isinstance(issuer, Held) else issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public)
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256())


def root(
    common_name: str = "root",
    *,
    key: Key | None = None,
    authority: bool | None = True,
    begins: datetime = WALL - DAY,
    ends: datetime = WALL + 100 * DAY,
    serial: int | None = None,
) -> Held:
    """Make a certificate that is signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
    subject = name(common_name)
    return Held(made(subject, key.public_key(), (subject, key), authority, begins, ends, serial), key)
