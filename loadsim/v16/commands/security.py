"""Calls of the security extension (OCA white paper "Improved security for OCPP 1.6-J", edition 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from msgspec import UNSET, UnsetType

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Behaviour, Command, Reply
from loadsim.v16.commands.remote_trigger import triggered
from loadsim.v16.configuration import integer
from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.messages.security import (
    CertificateSignedRequest,
    CertificateSignedResponse,
    DeleteCertificateRequest,
    DeleteCertificateResponse,
    ExtendedTriggerMessageRequest,
    ExtendedTriggerMessageResponse,
    Firmware,
    GetInstalledCertificateIdsRequest,
    GetInstalledCertificateIdsResponse,
    GetLogRequest,
    GetLogResponse,
    InstallCertificateRequest,
    InstallCertificateResponse,
    SignedUpdateFirmwareRequest,
    SignedUpdateFirmwareResponse,
)
from loadsim.v16.security import can_sign, certificates_of, report_security_event, send_sign_certificate
from loadsim.v16.upkeep.diagnostics import begin_log, send_log_status
from loadsim.v16.upkeep.firmware import Signature, Update, begin_update, send_signed_firmware_status
from loadsim.v16.upkeep.transfers import errand

_RECONFIGURED: Final = "ReconfigurationOfSecurityParameters"


def install_certificate(charge_point: ChargePoint, request: InstallCertificateRequest) -> Reply:
    """Trust a root certificate (M05): Rejected if it is none, or there is no room; Failed without cryptography."""
    certificates = certificates_of(charge_point)
    if certificates is None:
        return Reply(InstallCertificateResponse(status="Failed"))
    most = integer(charge_point, "CertificateStoreMaxLength")
    status = certificates.install(request.certificate_type, request.certificate, charge_point.now(), most=most)
    if status == "Accepted":
        report_security_event(charge_point, _RECONFIGURED, f"{request.certificate_type} installed")
    return Reply(InstallCertificateResponse(status=status))


def delete_certificate(charge_point: ChargePoint, request: DeleteCertificateRequest) -> Reply:
    """Trust a root certificate no longer (M04).

    None of them is in use for the connection, which would make it Failed: how that is verified is the scenario's
    affair.
    """
    certificates = certificates_of(charge_point)
    status = "NotFound" if certificates is None else certificates.delete(request.certificate_hash_data)
    if status == "Accepted":
        report_security_event(charge_point, _RECONFIGURED, "a root certificate deleted")
    return Reply(DeleteCertificateResponse(status=status))


def get_installed_certificate_ids(charge_point: ChargePoint, request: GetInstalledCertificateIdsRequest) -> Reply:
    """Tell which root certificates are trusted (M03)."""
    certificates = certificates_of(charge_point)
    found = () if certificates is None else certificates.installed(request.certificate_type)
    if not found:
        return Reply(GetInstalledCertificateIdsResponse(status="NotFound"))
    return Reply(GetInstalledCertificateIdsResponse(status="Accepted", certificate_hash_data=found))


def certificate_signed(charge_point: ChargePoint, request: CertificateSignedRequest) -> Reply:
    """Take the certificate that was asked for (A02)."""
    certificates = certificates_of(charge_point)
    if certificates is None:
        return Reply(CertificateSignedResponse(status="Rejected"))
    if len(request.certificate_chain) > integer(charge_point, "CertificateSignedMaxChainSize"):
        problem: str | None = "the chain is too long"
    else:
        problem = certificates.take_signed(request.certificate_chain, charge_point.now())
    if problem is not None:
        report_security_event(charge_point, "InvalidChargePointCertificate", problem)
        return Reply(CertificateSignedResponse(status="Rejected"))
    report_security_event(charge_point, _RECONFIGURED, "a new certificate of the charge point")
    return Reply(CertificateSignedResponse(status="Accepted"))


def get_log(charge_point: ChargePoint, request: GetLogRequest) -> Reply:
    """Upload a log (N01): Rejected where there is none of that time, or no way to send it."""
    log = request.log
    begun = begin_log(
        charge_point,
        request.log_type,
        request.request_id,
        errand(log.remote_location, request.retries, request.retry_interval),
        None if log.oldest_timestamp is UNSET else parse_date_time(log.oldest_timestamp),
        None if log.latest_timestamp is UNSET else parse_date_time(log.latest_timestamp),
    )
    if begun is None:
        return Reply(GetLogResponse(status="Rejected"))
    file_name, cancelled = begun
    return Reply(GetLogResponse(status="AcceptedCanceled" if cancelled else "Accepted", filename=file_name))


def signed_update_firmware(charge_point: ChargePoint, request: SignedUpdateFirmwareRequest) -> Reply:
    """Update to signed firmware (L01): the certificate first, then whether there is time for it."""
    firmware, certificates = request.firmware, certificates_of(charge_point)
    if certificates is None:
        return Reply(SignedUpdateFirmwareResponse(status="Rejected"))
    problem = certificates.problem_of_signer(firmware.signing_certificate, charge_point.now())
    if problem is not None:
        report_security_event(charge_point, "InvalidFirmwareSigningCertificate", problem)
        return Reply(SignedUpdateFirmwareResponse(status="InvalidCertificate"))
    begun = begin_update(
        charge_point,
        Update(
            errand=errand(firmware.location, request.retries, request.retry_interval),
            retrieve_at=parse_date_time(firmware.retrieve_date_time),
            install_at=None if firmware.install_date_time is UNSET else parse_date_time(firmware.install_date_time),
            signature=Signature(request_id=request.request_id, is_right=_verifier(firmware)),
        ),
    )
    if begun == "ignored":  # it is installing, which cannot be cancelled (L01.FR.27)
        return Reply(SignedUpdateFirmwareResponse(status="Rejected"))
    return Reply(SignedUpdateFirmwareResponse(status="Accepted" if begun == "begun" else "AcceptedCanceled"))


def extended_trigger_message(charge_point: ChargePoint, request: ExtendedTriggerMessageRequest) -> Reply:
    """Send a message because the CSMS asks for it; the answer goes first."""
    kind = request.requested_message
    if kind == "SignChargePointCertificate" and certificates_of(charge_point) is None:
        return Reply(ExtendedTriggerMessageResponse(status="NotImplemented"))
    then = _triggered(charge_point, kind, request.connector_id)
    if then is None:
        return Reply(ExtendedTriggerMessageResponse(status="Rejected"))
    return Reply(ExtendedTriggerMessageResponse(status="Accepted"), then)


def _triggered(charge_point: ChargePoint, kind: str, connector_id: int | UnsetType) -> Behaviour | None:
    due = charge_point.context.clock.elapsed
    if kind == "LogStatusNotification":
        return partial(send_log_status, due=due)
    if kind == "FirmwareStatusNotification":
        return partial(send_signed_firmware_status, due=due)
    if kind == "SignChargePointCertificate":
        return partial(send_sign_certificate, due=due) if can_sign(charge_point) else None
    return triggered(charge_point, kind, connector_id)


def _verifier(firmware: Firmware) -> Callable[[bytes | None], bool]:
    """Return what verifies a download; where it was only simulated there is nothing to verify but the form."""

    def is_right(sha256: bytes | None) -> bool:
        from loadsim.v16.certificates import is_base64, is_signed  # noqa: PLC0415 - few need what it imports

        if sha256 is None:
            return is_base64(firmware.signature)
        return is_signed(sha256, firmware.signing_certificate, firmware.signature)

    return is_right


COMMANDS: Final[Mapping[str, Command]] = {
    "CertificateSigned": certificate_signed,
    "DeleteCertificate": delete_certificate,
    "ExtendedTriggerMessage": extended_trigger_message,
    "GetInstalledCertificateIds": get_installed_certificate_ids,
    "GetLog": get_log,
    "InstallCertificate": install_certificate,
    "SignedUpdateFirmware": signed_update_firmware,
}
