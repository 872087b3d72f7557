"""Security events, the log of them, and the charge point's certificate (white paper on security, A02 and A04).

All of it is there only where the fleet has the Security profile.
"""

from __future__ import annotations

import contextlib
import importlib
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.settings import SECURITY_PROFILE, ChargePointSettings
from loadsim.v16.configuration import text
from loadsim.v16.memory import may_send_triggered, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.security import SecurityEventNotificationRequest, SignCertificateRequest
from loadsim.v16.upkeep.notices import SecurityNotice, announce
from loadsim.v16.waiting import clock_was_set

if TYPE_CHECKING:
    from loadsim.v16.certificates import Certificates

PUSHED: Final = frozenset(
    {
        # Section 8 calls these critical, of those that can happen here.
        "FirmwareUpdated",
        "ResetOrReboot",
        "SettingSystemTime",
        "StartupOfTheDevice",
        # These it does not; that they are sent is written at their use cases (L01.FR.02, L01.FR.03, A02.FR.07).
        "InvalidChargePointCertificate",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
    }
)
"""Security events that the CSMS is told of; the others are only in the security log."""

_LOG_LENGTH: Final = 200
_LONGEST_INFO: Final = 255
_NEW_TIME: Final = timedelta(seconds=5)
_SIGN: Final = BY_NAME["SignCertificate"]


class SecurityEvent(NamedTuple):
    """One line of the security log."""

    at: datetime
    type: str
    tech_info: str | None


def has_security(charge_point: ChargePoint) -> bool:
    """Tell whether the fleet has the Security profile."""
    return SECURITY_PROFILE in charge_point.settings.profiles


def report_security_event(charge_point: ChargePoint, type: str, tech_info: str | None = None) -> None:  # noqa: A002
    """Log that something happened that bears on security, and have the CSMS told of it where it is to know (A04)."""
    if not has_security(charge_point) or charge_point.over:
        return
    memory = memory_of(charge_point)
    if memory.security_log is None:
        memory.security_log = deque(maxlen=_LOG_LENGTH)
    event = SecurityEvent(charge_point.now(), type, tech_info)
    memory.security_log.append(event)
    if type in PUSHED:
        request = SecurityEventNotificationRequest(
            type=type,
            timestamp=format_date_time(event.at),
            tech_info=UNSET if tech_info is None else tech_info[:_LONGEST_INFO],
        )
        announce(charge_point, SecurityNotice(charge_point, request))


def set_clock(charge_point: ChargePoint, csms_time: str) -> None:
    """Set the clock by the CSMS's; where that makes a difference it is a security event."""
    before = charge_point.now() if has_security(charge_point) else None
    charge_point.adopt_clock(csms_time)
    clock_was_set(charge_point)
    if before is not None and abs(charge_point.now() - before) >= _NEW_TIME:
        report_security_event(charge_point, "SettingSystemTime", f"it was {format_date_time(before)}")


def security_log(charge_point: ChargePoint, since: datetime | None, until: datetime | None) -> bytes:
    """Return the security events of that time, a line each; empty if there is none."""
    return "".join(
        f"{format_date_time(event.at)} {event.type}{f' {event.tech_info}' if event.tech_info else ''}\n"
        for event in memory_of(charge_point).security_log or ()
        if (since is None or since <= event.at) and (until is None or event.at <= until)
    ).encode()


# Certificates.


def prepare_security(settings: ChargePointSettings) -> None:
    """Import what certificates need: in the middle of a run it would hold up the loop that measures."""
    if SECURITY_PROFILE in settings.profiles:
        with contextlib.suppress(ImportError):
            importlib.import_module("loadsim.v16.certificates")


def certificates_of(charge_point: ChargePoint) -> Certificates | None:
    """Return the charge point's certificates; None where `cryptography`, an extra, is not installed."""
    memory = memory_of(charge_point)
    if memory.certificates is None:
        try:
            from loadsim.v16.certificates import Certificates  # noqa: PLC0415 - few need what it imports
        except ImportError:
            return None
        memory.certificates = Certificates()
    return memory.certificates


def can_sign(charge_point: ChargePoint) -> bool:
    """Tell whether the charge point can ask for a certificate: it needs to know its operator (A02)."""
    return bool(text(charge_point, "CpoName")) and certificates_of(charge_point) is not None


async def send_sign_certificate(charge_point: ChargePoint, due: float) -> None:
    """Make a new key, and ask the CSMS to have it certified (A02); the answer comes with CertificateSigned.

    Raises:
        CallFailed: no valid answer.
    """
    certificates = certificates_of(charge_point)
    assert certificates is not None
    csr = certificates.request_signature(serial_number(charge_point), text(charge_point, "CpoName"))
    await charge_point.call(_SIGN, SignCertificateRequest(csr=csr), due=due, allowed=may_send_triggered)


def serial_number(charge_point: ChargePoint) -> str:
    """Return the charge point's serial number, else its identity: the name in its certificate (A00.FR.511)."""
    serial = charge_point.settings.boot.serial
    return charge_point.identity if serial is None else serial.replace("{id}", charge_point.identity)
