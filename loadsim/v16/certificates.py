"""The certificates of a charge point (white paper on security, sections 2.6, A02, L01 and M03 to M05).

Imported only when the first is needed: it needs `cryptography`, an extra, which takes its time to import. What
it knows of time is its argument.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import warnings
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.ocsp import OCSPRequestBuilder
from cryptography.x509.oid import NameOID

from loadsim.v16.messages.security import (
    CertificateHashData,
    CertificateUse,
    DeleteCertificateStatus,
    HashAlgorithm,
    InstallCertificateStatus,
)

_LONGEST_NAME: Final = 64  # RFC 5280, appendix A.1: ub-common-name, ub-organization-name
_LEAST_RSA: Final = 2048  # A00.FR.502
_LEAST_CURVE: Final = 224  # A00.FR.503
_ALGORITHMS: Final = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}
_MALFORMED: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    CryptographyDeprecationWarning,
)


class _Refused(Exception):
    """A certificate that is not what it should be; the text says why."""


class Certificates:
    """The roots that a charge point trusts, and its own certificate with its key."""

    __slots__ = ("_key", "_name", "_own", "_roots")

    def __init__(self) -> None:
        self._roots: list[tuple[CertificateUse, x509.Certificate]] = []
        self._key: ec.EllipticCurvePrivateKey | None = None  # of the last request
        self._name = ""
        self._own: x509.Certificate | None = None

    def install(self, use: CertificateUse, pem: str, now: datetime, *, most: int) -> InstallCertificateStatus:
        """Trust a root certificate from now on, of at most *most* (M05); one that is there already is there once."""
        try:
            with _malformed_is_refused():
                certificate = _only(pem)
                _check_authority(certificate, now)
                _check_issued(certificate, certificate)
        except _Refused:
            return "Rejected"
        if (use, certificate) not in self._roots:
            if len(self._roots) >= most:
                return "Rejected"  # M05.FR.03
            self._roots.append((use, certificate))
        return "Accepted"

    def delete(self, data: CertificateHashData) -> DeleteCertificateStatus:
        """Trust a root no longer (M04); the charge point's own certificate cannot be deleted (M04.FR.05)."""
        kept = [root for root in self._roots if not _is_meant(root[1], data)]
        if len(kept) < len(self._roots):
            self._roots = kept
            return "Accepted"
        return "Failed" if self._own is not None and self._is_own(data) else "NotFound"

    def installed(self, use: CertificateUse) -> tuple[CertificateHashData, ...]:
        """Return what identifies the roots of a use (M03)."""
        return tuple(hash_data(root, root) for kind, root in self._roots if kind == use)

    def request_signature(self, common_name: str, organization: str) -> str:
        """Make a new key, and the request to have it certified, in PEM (A02; RFC 2986)."""
        self._name = common_name[:_LONGEST_NAME]
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, self._name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization[:_LONGEST_NAME]),
            ]
        )
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self._key, hashes.SHA256())
        return request.public_bytes(Encoding.PEM).decode()

    def take_signed(self, chain: str, now: datetime) -> str | None:
        """Take the certificate that was asked for, with the authorities between it and a root (A02.FR.06).

        One that is not valid yet is taken, for it will be (A02.FR.08). Return why it is refused, None: it is not.
        """
        try:
            with _malformed_is_refused():
                certificate, *between = _read(chain)
                self._check_own(certificate, now)
                last = certificate
                for authority in between:
                    if authority in self._of("CentralSystemRootCertificate"):
                        break
                    _check_authority(authority, now)
                    _check_issued(last, authority)
                    last = authority
                self._check_trusted(last, "CentralSystemRootCertificate", now)
        except _Refused as refused:
            return str(refused)
        self._own = certificate
        return None

    def problem_of_signer(self, pem: str, now: datetime) -> str | None:
        """Return what is wrong with the certificate with which firmware was signed, None: nothing.

        It is valid now, and a root of the manufacturer itself has issued it (L01).
        """
        try:
            with _malformed_is_refused():
                certificate = _only(pem)
                _check_key(certificate)
                if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
                    return "it is not valid now"
                self._check_trusted(certificate, "ManufacturerRootCertificate", now)
        except _Refused as refused:
            return str(refused)
        return None

    def _check_own(self, certificate: x509.Certificate, now: datetime) -> None:
        _check_key(certificate)
        if self._key is None or certificate.public_key() != self._key.public_key():
            raise _Refused("it does not hold the key that was to be certified")
        if certificate.not_valid_after_utc <= now:
            raise _Refused("it has expired")
        if _names(certificate, NameOID.COMMON_NAME) != [self._name]:
            raise _Refused("its common name is not the charge point's")
        if not _names(certificate, NameOID.ORGANIZATION_NAME):
            raise _Refused("its subject names no organization")  # A00.FR.509

    def _of(self, use: CertificateUse) -> list[x509.Certificate]:
        return [root for kind, root in self._roots if kind == use]

    def _check_trusted(self, certificate: x509.Certificate, use: CertificateUse, now: datetime) -> None:
        for root in self._of(use):
            with contextlib.suppress(_Refused):
                _check_authority(root, now)
                _check_issued(certificate, root)
                return
        raise _Refused(f"no {use} has issued it")

    def _is_own(self, data: CertificateHashData) -> bool:
        assert self._own is not None
        serial = data.serial_number.lstrip("0").upper()
        return serial == f"{self._own.serial_number:X}" and any(
            _same(hash_data(self._own, root, data.hash_algorithm), data)
            for root in self._of("CentralSystemRootCertificate")
        )


def hash_data(
    certificate: x509.Certificate, issuer: x509.Certificate, algorithm: HashAlgorithm = "SHA256"
) -> CertificateHashData:
    """Return what identifies *certificate*: hashes of its issuer's name and key, as OCSP has them (RFC 6960)."""
    request = OCSPRequestBuilder().add_certificate(certificate, issuer, _ALGORITHMS[algorithm]).build()
    return CertificateHashData(
        hash_algorithm=algorithm,
        issuer_name_hash=request.issuer_name_hash.hex(),
        issuer_key_hash=request.issuer_key_hash.hex(),
        serial_number=f"{certificate.serial_number:X}",
    )


def is_base64(signature: str) -> bool:
    """Tell whether *signature* is one at all."""
    try:
        return bool(base64.b64decode("".join(signature.split()), validate=True))
    except (binascii.Error, ValueError):
        return False


def is_signed(sha256: bytes, pem: str, signature: str) -> bool:
    """Tell whether *signature*, in base64, is by a certificate's key over what hashes to *sha256* (L01.FR.04).

    RSA-PSS as the white paper has it, RSA with PKCS #1 1.5 and ECDSA as manufacturers have it.
    """
    if not is_base64(signature):
        return False
    signed, digest = base64.b64decode("".join(signature.split())), utils.Prehashed(hashes.SHA256())
    key = _only(pem).public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        with contextlib.suppress(InvalidSignature):
            key.verify(signed, sha256, ec.ECDSA(digest))
            return True
    elif isinstance(key, rsa.RSAPublicKey):
        salted = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
        for scheme in (salted, padding.PKCS1v15()):
            with contextlib.suppress(InvalidSignature):
                key.verify(signed, sha256, scheme, digest)
                return True
    return False


@contextlib.contextmanager
def _malformed_is_refused() -> Iterator[None]:
    """Refuse what only turns out to be malformed when one of its parts is looked at.

    What the library still reads and only warns of, a serial number that is not positive say, is against RFC 5280.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            yield
    except _MALFORMED as error:
        raise _Refused("it is malformed, or of a kind that is not known") from error


@lru_cache(maxsize=64)
def _read(pem: str) -> tuple[x509.Certificate, ...]:
    """Read certificates; thousands of charge points are sent the same, and share it.

    Raises:
        _Refused: there is none.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(pem.encode()))
    except (ValueError, x509.InvalidVersion) as error:
        raise _Refused("it is no X.509 certificate in PEM") from error


def _only(pem: str) -> x509.Certificate:
    found = _read(pem)
    if len(found) != 1:
        raise _Refused("it is more than one certificate")
    return found[0]


def _check_authority(certificate: x509.Certificate, now: datetime) -> None:
    _check_key(certificate)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise _Refused("an authority is not valid now")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise _Refused("it is no authority's") from error
    if not constraints.ca:
        raise _Refused("it is no authority's")


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise _Refused("its issuer is another") from error


def _check_key(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA:
        raise _Refused("its key is too short")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _LEAST_CURVE:
        raise _Refused("its key is too short")


def _names(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


def _is_meant(root: x509.Certificate, data: CertificateHashData) -> bool:
    return _same(hash_data(root, root, data.hash_algorithm), data)


def _same(one: CertificateHashData, other: CertificateHashData) -> bool:
    # CiStrings; a leading zero is wrong, and yet clear.
    return (
        one.issuer_name_hash.lower() == other.issuer_name_hash.lower()
        and one.issuer_key_hash.lower() == other.issuer_key_hash.lower()
        and one.serial_number == other.serial_number.lstrip("0").upper()
    )
