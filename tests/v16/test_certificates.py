"""The certificates of a charge point (white paper on security, sections 2.6, A02, L01 and M03 to M05)."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from loadsim.v16.certificates import Certificates, hash_data, is_base64, is_signed
from loadsim.v16.messages.security import CertificateHashData, HashAlgorithm
from tests.support import WALL
from tests.v16.authorities import DAY, Held, Key, root

OPERATOR = "CentralSystemRootCertificate"
MAKER = "ManufacturerRootCertificate"
FIRMWARE = b"firmware" * 1000
DIGEST = hashlib.sha256(FIRMWARE).digest()
RSA = rsa.generate_private_key(65537, 2048)
SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505 - which is why it is refused
AUTHORITY = root()


def trusting(*operators: Held, makers: tuple[Held, ...] = ()) -> Certificates:
    certificates = Certificates()
    for held in operators:
        assert certificates.install("CentralSystemRootCertificate", held.pem, WALL, most=9) == "Accepted"
    for held in makers:
        assert certificates.install("ManufacturerRootCertificate", held.pem, WALL, most=9) == "Accepted"
    return certificates


# Roots.


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize("key", [RSA, ec.generate_private_key(ec.SECP384R1())], ids=["RSA", "EC"])
def test_a_certificate_is_identified_as_ocsp_does_it(key: Key, algorithm: HashAlgorithm) -> None:
    held = root(key=key, serial=0x0FFF)
    if isinstance(key, rsa.RSAPrivateKey):
        bits = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    else:
        bits = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    name = held.certificate.issuer.public_bytes()

    data = hash_data(held.certificate, held.certificate, algorithm)
    assert data.issuer_name_hash == hashlib.new(algorithm, name).hexdigest()
    assert data.issuer_key_hash == hashlib.new(algorithm, bits).hexdigest()
    assert data.serial_number == "FFF"


def test_roots_are_installed_by_their_use_and_each_once() -> None:
    one, other = root("one"), root("other")
    certificates = trusting(one, other, one, makers=(one,))

    assert [data.serial_number for data in certificates.installed("CentralSystemRootCertificate")] == [
        f"{held.certificate.serial_number:X}" for held in (one, other)
    ]
    assert len(certificates.installed("ManufacturerRootCertificate")) == 1


def test_there_is_room_for_so_many_roots_and_not_one_more() -> None:
    certificates, first = trusting(root("0")), root("1")

    assert certificates.install("ManufacturerRootCertificate", first.pem, WALL, most=2) == "Accepted"
    assert certificates.install("ManufacturerRootCertificate", root("2").pem, WALL, most=2) == "Rejected"
    assert certificates.install("ManufacturerRootCertificate", first.pem, WALL, most=2) == "Accepted"


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no certificate",
        "\ud800",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        root().pem[:-80],
        root().pem + root().pem,
        root(authority=False).pem,
        root(authority=None).pem,
        root(ends=WALL).pem,
        root(begins=WALL + timedelta(seconds=1)).pem,
        root().issue("below", authority=True).pem,
        root(key=SHORT).pem,
        root(key=ec.generate_private_key(ec.SECP192R1())).pem,
    ],
)
def test_what_is_no_root_certificate_that_is_valid_now_is_rejected(pem: str) -> None:
    assert Certificates().install("CentralSystemRootCertificate", pem, WALL, most=9) == "Rejected"


def test_a_root_that_was_tampered_with_is_rejected() -> None:
    der = bytearray(root().certificate.public_bytes(Encoding.DER))
    der[-1] ^= 1
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"

    assert Certificates().install("CentralSystemRootCertificate", pem, WALL, most=9) == "Rejected"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_root_certificate_or_rejected(der: bytes) -> None:
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"

    assert Certificates().install("CentralSystemRootCertificate", pem, WALL, most=9) == "Rejected"


@given(st.integers(0), st.integers(0, 255))
@example(at=14, value=128)  # RFC 5280, section 4.1.2.2: a serial number is positive
def test_a_certificate_with_a_byte_changed_never_raises(at: int, value: int) -> None:
    der = bytearray(AUTHORITY.certificate.public_bytes(Encoding.DER))
    der[at % len(der)] = value
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    certificates = Certificates()

    assert certificates.install("CentralSystemRootCertificate", pem, WALL, most=9) in ("Accepted", "Rejected")
    certificates.problem_of_signer(pem, WALL)
    certificates.take_signed(pem, WALL)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_a_root_is_deleted_by_what_identifies_it_in_any_case(algorithm: HashAlgorithm) -> None:
    one, other = root("one", serial=0xABC), root("other")
    certificates = trusting(one, other)
    data = hash_data(one.certificate, one.certificate, algorithm)
    asked = CertificateHashData(
        hash_algorithm=data.hash_algorithm,
        issuer_name_hash=data.issuer_name_hash.upper(),
        issuer_key_hash=data.issuer_key_hash.upper(),
        serial_number="0abc",
    )

    assert certificates.delete(asked) == "Accepted"
    assert certificates.delete(asked) == "NotFound"
    assert len(certificates.installed("CentralSystemRootCertificate")) == 1


# The charge point's own certificate.


def requested(certificates: Certificates, organization: str = "Operator") -> x509.CertificateSigningRequest:
    pem = certificates.request_signature("CP1", organization)
    assert len(pem) < 5500
    return x509.load_pem_x509_csr(pem.encode())


def test_a_request_holds_a_new_key_the_charge_point_and_its_operator() -> None:
    certificates = Certificates()
    first, second = requested(certificates), requested(certificates, "Ö" * 200)

    assert first.is_signature_valid
    assert second.is_signature_valid
    assert first.public_key() != second.public_key()
    assert isinstance(first.public_key(), ec.EllipticCurvePublicKey)
    assert [(each.oid, each.value) for each in first.subject] == [
        (NameOID.COMMON_NAME, "CP1"),
        (NameOID.ORGANIZATION_NAME, "Operator"),
    ]
    assert second.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "Ö" * 64


def test_the_certificate_that_was_asked_for_is_taken() -> None:
    authority = root()
    certificates = trusting(root("another"), authority)
    key = requested(certificates).public_key()

    assert certificates.take_signed(authority.issue("CP1", key=key).pem, WALL) is None


def test_it_may_come_with_the_authorities_between_it_and_the_root() -> None:
    authority = root()
    between = authority.issue("between", authority=True)
    certificates = trusting(authority)
    own = between.issue("CP1", key=requested(certificates).public_key())

    assert certificates.take_signed(own.pem + between.pem, WALL) is None
    assert certificates.take_signed(own.pem + between.pem + authority.pem, WALL) is None
    assert certificates.take_signed(own.pem, WALL) == f"no {OPERATOR} has issued it"
    assert certificates.take_signed(between.pem + own.pem, WALL) is not None


def test_one_that_is_not_valid_yet_is_taken() -> None:
    authority = root()
    certificates = trusting(authority)
    own = authority.issue("CP1", key=requested(certificates).public_key(), begins=WALL + DAY, ends=WALL + 2 * DAY)

    assert certificates.take_signed(own.pem, WALL) is None


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"key": ec.generate_private_key(ec.SECP256R1())}, "it does not hold the key that was to be certified"),
        ({"common_name": "CP2"}, "its common name is not the charge point's"),
        ({"organization": None}, "its subject names no organization"),
        ({"begins": WALL - 2 * DAY, "ends": WALL}, "it has expired"),
    ],
)
def test_one_that_is_not_what_was_asked_for_is_refused(changed: dict[str, object], problem: str) -> None:
    authority = root()
    certificates = trusting(authority)
    asked = {"common_name": "CP1", "key": requested(certificates).public_key(), **changed}

    assert certificates.take_signed(authority.issue(**asked).pem, WALL) == problem  # type: ignore[arg-type]


def test_one_that_nobody_asked_for_is_refused() -> None:
    authority = root()

    assert trusting(authority).take_signed(authority.issue("CP1").pem, WALL) is not None


def test_one_of_a_stranger_or_of_an_authority_that_is_none_is_refused() -> None:
    authority = root()
    certificates = trusting(authority)
    key = requested(certificates).public_key()
    nobody = authority.issue("nobody", authority=False)

    assert certificates.take_signed(root().issue("CP1", key=key).pem, WALL) is not None
    assert certificates.take_signed(nobody.issue("CP1", key=key).pem + nobody.pem, WALL) is not None
    assert Certificates().take_signed("nonsense", WALL) is not None


def test_a_root_of_the_manufacturer_does_not_stand_for_the_operator() -> None:
    authority = root()
    certificates = trusting(makers=(authority,))
    own = authority.issue("CP1", key=requested(certificates).public_key())

    assert certificates.take_signed(own.pem, WALL) == f"no {OPERATOR} has issued it"


def test_the_charge_points_own_certificate_cannot_be_deleted() -> None:
    authority = root()
    certificates = trusting(authority)
    own = authority.issue("CP1", key=requested(certificates).public_key())
    data = hash_data(own.certificate, authority.certificate)

    assert certificates.delete(data) == "NotFound"
    certificates.take_signed(own.pem, WALL)
    assert certificates.delete(data) == "Failed"


# Signed firmware.


def test_the_manufacturers_root_itself_must_have_issued_the_signing_certificate() -> None:
    maker = root("maker")
    between = maker.issue("between", authority=True)
    certificates = trusting(root("operator"), makers=(root("another"), maker))

    assert certificates.problem_of_signer(maker.issue().pem, WALL) is None
    assert certificates.problem_of_signer(between.issue().pem, WALL) == f"no {MAKER} has issued it"
    assert certificates.problem_of_signer(root().issue().pem, WALL) == f"no {MAKER} has issued it"


@pytest.mark.parametrize(
    "pem",
    [
        "nonsense",
        "",
        AUTHORITY.issue().pem + AUTHORITY.issue().pem,
        AUTHORITY.issue(ends=WALL).pem,
        AUTHORITY.issue(begins=WALL + timedelta(seconds=1)).pem,
        AUTHORITY.issue(key=SHORT).pem,
    ],
)
def test_a_signing_certificate_that_is_none_or_not_valid_now_is_refused(pem: str) -> None:
    assert trusting(makers=(AUTHORITY,)).problem_of_signer(pem, WALL) is not None


def test_with_a_root_that_has_expired_nothing_is_trusted() -> None:
    maker = root("maker")
    certificates = trusting(makers=(maker,))

    late = WALL + 101 * DAY
    signer = maker.issue(ends=WALL + 200 * DAY)
    assert certificates.problem_of_signer(signer.pem, WALL) is None
    assert certificates.problem_of_signer(signer.pem, late) == f"no {MAKER} has issued it"


@pytest.mark.parametrize("key", [RSA, None], ids=["RSA", "EC"])
def test_a_signature_is_over_the_whole_firmware(key: Key | None) -> None:
    signer = AUTHORITY.issue(key=key)
    signature = signer.sign(FIRMWARE)

    assert is_signed(DIGEST, signer.pem, signature)
    assert is_signed(DIGEST, signer.pem, "\n".join((signature[:40], signature[40:])))
    assert not is_signed(hashlib.sha256(FIRMWARE[:-1]).digest(), signer.pem, signature)
    assert not is_signed(DIGEST, AUTHORITY.issue().pem, signature)


def test_a_signature_with_pkcs1_is_good_too() -> None:
    signer = AUTHORITY.issue(key=RSA)

    assert is_signed(DIGEST, signer.pem, signer.sign(FIRMWARE, padding.PKCS1v15()))


@pytest.mark.parametrize("signature", ["", "====", "AAAA", "not base64!", "é", "A" * 800])
@pytest.mark.parametrize("key", [RSA, None], ids=["RSA", "EC"])
def test_what_is_no_signature_is_none(signature: str, key: Key | None) -> None:
    assert not is_signed(DIGEST, AUTHORITY.issue(key=key).pem, signature)


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), dsa.generate_private_key(2048)])
def test_a_key_of_a_kind_that_the_white_paper_does_not_name_signs_nothing(
    key: ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey,
) -> None:
    assert not is_signed(DIGEST, AUTHORITY.issue(key=key.public_key()).pem, "AAAA")


@given(st.text(max_size=40))
def test_any_text_is_judged(text: str) -> None:
    assert is_base64(text) <= bool(text.strip())


@given(st.binary(min_size=1, max_size=100))
def test_every_signature_in_base64_is_one(signature: bytes) -> None:
    assert is_base64(base64.encodebytes(signature).decode())
    assert not is_base64("")
