"""What a central system answers to every action a charge point may send (OCPP 1.6, chapter 4; security extension)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import UNSET

from loadsim.v16.messages import core, firmware, security
from loadsim.v16.messages.formats import format_date_time

if TYPE_CHECKING:
    from loadsim.v16.central.session import ChargePointSession


def _boot(session: ChargePointSession, request: core.BootNotificationRequest, now: datetime) -> msgspec.Struct:
    central = session.central
    status = central.boot_status[min(session.boots, len(central.boot_status) - 1)]
    version = None if request.firmware_version is UNSET else request.firmware_version
    central.register(session, accepted=status == "Accepted", firmware_version=version)
    central.boots[status] += 1
    return core.BootNotificationResponse(
        status=cast("core.RegistrationStatus", status),
        current_time=format_date_time(now),
        interval=central.interval,
    )


def _heartbeat(session: ChargePointSession, request: core.HeartbeatRequest, now: datetime) -> msgspec.Struct:
    return core.HeartbeatResponse(current_time=format_date_time(now))


def _status(session: ChargePointSession, request: core.StatusNotificationRequest, now: datetime) -> msgspec.Struct:
    session.connector_status[request.connector_id] = request.status
    return core.StatusNotificationResponse()


def _authorize(session: ChargePointSession, request: core.AuthorizeRequest, now: datetime) -> msgspec.Struct:
    return core.AuthorizeResponse(id_tag_info=session.central.tags.admit("Authorize", request.id_tag, now))


def _start(session: ChargePointSession, request: core.StartTransactionRequest, now: datetime) -> msgspec.Struct:
    central, tag = session.central, request.id_tag
    transaction = central.transactions.repeat(session.book, request)
    if transaction is None:
        in_use = central.concurrent_tx and central.transactions.is_in_use(tag)
        info = central.tags.admit("StartTransaction", tag, now, in_use=in_use)
        transaction = central.transactions.start(session.book, request, info)
    return core.StartTransactionResponse(id_tag_info=transaction.id_tag_info, transaction_id=transaction.id)


def _meter_values(session: ChargePointSession, request: core.MeterValuesRequest, now: datetime) -> msgspec.Struct:
    session.central.transactions.sample(session.book, request)
    return core.MeterValuesResponse()


def _stop(session: ChargePointSession, request: core.StopTransactionRequest, now: datetime) -> msgspec.Struct:
    session.central.transactions.stop(session.book, request)
    if request.id_tag is UNSET:
        return core.StopTransactionResponse()
    return core.StopTransactionResponse(id_tag_info=session.central.tags.judge(request.id_tag, now))


def _data(session: ChargePointSession, request: core.DataTransferRequest, now: datetime) -> msgspec.Struct:
    return core.DataTransferResponse(status="UnknownVendorId")


def _firmware(
    session: ChargePointSession, request: firmware.FirmwareStatusNotificationRequest, now: datetime
) -> msgspec.Struct:
    session.firmware_status = request.status
    return firmware.FirmwareStatusNotificationResponse()


def _signed_firmware(
    session: ChargePointSession, request: security.SignedFirmwareStatusNotificationRequest, now: datetime
) -> msgspec.Struct:
    session.firmware_status = request.status
    return security.SignedFirmwareStatusNotificationResponse()


def _diagnostics(
    session: ChargePointSession, request: firmware.DiagnosticsStatusNotificationRequest, now: datetime
) -> msgspec.Struct:
    session.diagnostics_status = request.status
    return firmware.DiagnosticsStatusNotificationResponse()


def _log(
    session: ChargePointSession, request: security.LogStatusNotificationRequest, now: datetime
) -> msgspec.Struct:
    session.log_status = request.status
    return security.LogStatusNotificationResponse()


def _security_event(
    session: ChargePointSession, request: security.SecurityEventNotificationRequest, now: datetime
) -> msgspec.Struct:
    session.central.security_events += 1
    return security.SecurityEventNotificationResponse()


def _sign(session: ChargePointSession, request: security.SignCertificateRequest, now: datetime) -> msgspec.Struct:
    on_csr = session.central.on_csr  # None: there is no authority here that could sign
    taken_on = on_csr is not None and on_csr(session, request.csr)
    return security.SignCertificateResponse(status="Accepted" if taken_on else "Rejected")


HANDLERS: Final[Mapping[str, Callable[[ChargePointSession, Any, datetime], msgspec.Struct]]] = MappingProxyType(
    {
        "Authorize": _authorize,
        "BootNotification": _boot,
        "DataTransfer": _data,
        "DiagnosticsStatusNotification": _diagnostics,
        "FirmwareStatusNotification": _firmware,
        "Heartbeat": _heartbeat,
        "LogStatusNotification": _log,
        "MeterValues": _meter_values,
        "SecurityEventNotification": _security_event,
        "SignCertificate": _sign,
        "SignedFirmwareStatusNotification": _signed_firmware,
        "StartTransaction": _start,
        "StatusNotification": _status,
        "StopTransaction": _stop,
    }
)
