"""What the tests of updates and uploads share."""

from __future__ import annotations

from typing import Any

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import FirmwareSettings, SessionSettings
from tests.support import World, wall_clock

TEN_SECONDS = FirmwareSettings(download=fixed(10.0), install=fixed(20.0))
HOUR = SessionSettings(plugged_in=fixed(3600.0), energy=fixed(100_000.0))
LOCATION = "http://firmware.test.example/ac22-2.5.0.bin"
SEQUENCE = ["Downloading", "Downloaded", "Installing", "Installed"]


async def online(w: World, **chosen: Any) -> ChargePoint:
    return await w.online(**{"firmware": TEN_SECONDS, "reboot": fixed(5.0), **chosen})


async def update(w: World, at: float = 0.0, **more: Any) -> Any:
    request = {"location": LOCATION, "retrieveDate": wall_clock(at), **more}
    return await w.csms.latest.order("UpdateFirmware", request)


def said(w: World, identity: str | None = None) -> list[str]:
    return [call.payload["status"] for call in w.csms.calls("FirmwareStatusNotification", identity)]


async def until(w: World, status: str) -> None:
    """Wait for a status, in real time."""
    with trio.fail_after(10):
        while status not in said(w):  # noqa: ASYNC110 - the CSMS of the tests wakes nobody
            await trio.sleep(0.02)


def told_at(w: World) -> dict[str, float]:
    return {call.payload["status"]: round(call.at, 3) for call in w.csms.calls("FirmwareStatusNotification")}
