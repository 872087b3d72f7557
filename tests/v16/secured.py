"""What the tests of the security extension share."""

from __future__ import annotations

from typing import Any

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES, FirmwareSettings
from tests.support import World, wall_clock
from tests.v16.authorities import Held, root

PROFILES = (*STANDARD_PROFILES, SECURITY_PROFILE)
OPERATOR = {"certificateType": "CentralSystemRootCertificate"}
MAKER = {"certificateType": "ManufacturerRootCertificate"}
MANUFACTURER = root("maker")
SIGNER = MANUFACTURER.issue("signer")
FIRMWARE = b"firmware" * 10_000
LOCATION = "http://firmware.test.example/ac22-2.5.0.bin"
DOWNLOAD = ["Downloading", "Downloaded", "SignatureVerified"]
INSTALL = ["Installing", "InstallRebooting", "Installed"]


async def online(w: World, **chosen: Any) -> ChargePoint:
    firmware = FirmwareSettings(download=fixed(10.0), install=fixed(20.0))
    return await w.online(**{"profiles": PROFILES, "firmware": firmware, "reboot": fixed(5.0), **chosen})


async def order(w: World, action: str, **payload: Any) -> Any:
    return await w.csms.latest.order(action, payload)


async def trust(w: World, held: Held, use: dict[str, str]) -> None:
    assert await order(w, "InstallCertificate", certificate=held.pem, **use) == {"status": "Accepted"}


async def update(w: World, request_id: int = 1, *, signer: Held = SIGNER, more: Any = None, **firmware: Any) -> Any:
    described = {
        "location": LOCATION,
        "retrieveDateTime": wall_clock(0.0),
        "signingCertificate": signer.pem,
        "signature": signer.sign(FIRMWARE),
        **firmware,
    }
    return (await order(w, "SignedUpdateFirmware", requestId=request_id, firmware=described, **(more or {})))[
        "status"
    ]


async def trigger(w: World, kind: str, **more: Any) -> Any:
    answer = await order(w, "ExtendedTriggerMessage", requestedMessage=kind, **more)
    await trio.sleep(0.1)
    return answer["status"]


def said(w: World, request_id: int | None = 1) -> list[str]:
    calls = w.csms.calls("SignedFirmwareStatusNotification")
    return [call.payload["status"] for call in calls if call.payload.get("requestId") == request_id]


def told_at(w: World) -> dict[str, float]:
    return {call.payload["status"]: call.at for call in w.csms.calls("SignedFirmwareStatusNotification")}


def events(w: World) -> list[str]:
    return [call.payload["type"] for call in w.csms.calls("SecurityEventNotification")]
