"""What a change of a configuration key does (OCPP 1.6, chapter 9; OCPP-J, section 6.2.2 and chapter 7)."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.settings import HeartbeatSettings
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.v16.memory import memory_of
from tests.support import Answer, World, boot, increasing, world
from tests.v16.test_configuration import ALL_PROFILES, set_key, shown

RARE_BEATS = boot("Accepted", interval=100_000)
STARTED = Answer(payload={"transactionId": 7, "idTagInfo": {"status": "Accepted"}})


async def test_rule_13_a_heartbeat_interval_that_was_set_holds_at_once(autojump_clock: MockClock) -> None:
    async with world(BootNotification=RARE_BEATS) as w:
        await w.online()
        assert await set_key(w, "HeartbeatInterval", "60") == "Accepted"
        await trio.sleep(600)

        assert await shown(w, "HeartbeatInterval") == {"HeartbeatInterval": "60"}
        assert set(increasing(w.csms.times("Heartbeat"))) == {60.0}
        assert len(w.csms.calls("Heartbeat")) > 9


async def test_a_fleet_that_beats_at_its_own_interval_refuses_another(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(heartbeat=HeartbeatSettings(every=20.0))
        assert await set_key(w, "HeartbeatInterval", "60") == "Rejected"
        assert await shown(w, "HeartbeatInterval") == {"HeartbeatInterval": "20"}


def count_pings(w: World) -> list[float]:
    """Note when the charge point pings on its latest connection."""
    times: list[float] = []
    client = w.csms.latest.client

    async def ping() -> None:
        times.append(round(trio.current_time(), 3))
        await trio.lowlevel.checkpoint()

    client.ping = ping  # type: ignore[method-assign]
    return times


async def test_rule_30_a_ping_interval_holds_at_once_and_on_the_next_connections(autojump_clock: MockClock) -> None:
    async with world(BootNotification=RARE_BEATS) as w:
        await w.online()
        pings = count_pings(w)
        assert await shown(w, "WebSocketPingInterval") == {"WebSocketPingInterval": "0"}
        await trio.sleep(100)
        assert pings == []

        assert await set_key(w, "WebSocketPingInterval", "20") == "Accepted"
        await trio.sleep(50)
        assert pings == [120.0, 140.0]

        await set_key(w, "WebSocketPingInterval", "30")
        await trio.sleep(70)
        assert pings == [120.0, 140.0, 180.0, 210.0]

        await w.csms.latest.drop()
        await trio.sleep(6)
        again = count_pings(w)
        await trio.sleep(60)
        assert len(again) == 2
        assert pings == [120.0, 140.0, 180.0, 210.0]

        await set_key(w, "WebSocketPingInterval", "0")
        await trio.sleep(100)
        assert len(again) == 2


async def test_pings_of_the_fleet_are_shown_and_can_be_changed(autojump_clock: MockClock) -> None:
    async with world(BootNotification=RARE_BEATS) as w:
        await w.online(ping=25.0)
        pings = count_pings(w)
        assert await shown(w, "WebSocketPingInterval") == {"WebSocketPingInterval": "25"}
        assert await set_key(w, "WebSocketPingInterval", "-1") == "Rejected"
        await trio.sleep(30)
        await set_key(w, "WebSocketPingInterval", "10")
        await trio.sleep(25)

        assert pings == [25.0, 40.0, 50.0]


def credentials(charge_point: ChargePoint, url: str = "ws://csms.test/{id}") -> bytes | None:
    """Return what the charge point would say of itself at its next handshake."""
    headers = WebSocketConnector(Endpoint(url=url))._headers(charge_point)
    return base64.b64decode(headers[0][1].removeprefix(b"Basic ")) if headers else None


async def test_rule_43_an_authorization_key_is_hex_and_its_bytes_are_the_next_password(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        charge_point = await w.online(profiles=ALL_PROFILES)
        assert credentials(charge_point) is None
        for value in ("", "00" * 7, "00" * 21, "0" * 17, "zz" * 16, "password-password!", "é" * 16):
            assert (value, await set_key(w, "AuthorizationKey", value)) == (value, "Rejected")
        assert credentials(charge_point) is None
        for value in ("00" * 8, "fF3a" * 10):
            assert await set_key(w, "authorizationkey", value) == "Accepted"
            assert credentials(charge_point) == b"CP0:" + bytes.fromhex(value)


async def test_rule_43_the_security_profile_is_told_and_never_lowered(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(profiles=ALL_PROFILES)
        assert await shown(w, "SecurityProfile") == {"SecurityProfile": "0"}
        await set_key(w, "AuthorizationKey", "00" * 16)
        assert await shown(w, "SecurityProfile") == {"SecurityProfile": "1"}
        assert await set_key(w, "SecurityProfile", "0") == "Rejected"
        assert await set_key(w, "SecurityProfile", "1") == "Accepted"
        for higher in ("2", "3", "4"):
            assert await set_key(w, "SecurityProfile", higher) == "Rejected"


async def test_rule_43_the_security_profile_follows_from_url_and_password(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = w.make()
        for url, password, profile in (
            ("ws://csms.test/{id}", None, 0),
            ("ws://csms.test/{id}", "secret", 1),
            ("wss://csms.test/{id}", None, 0),
            ("wss://csms.test/{id}", "secret", 2),
        ):
            connector = WebSocketConnector(Endpoint(url=url, password=password))
            assert connector.security_profile(charge_point) == profile


async def test_rule_24_clock_aligned_data_come_as_soon_as_they_are_asked_for_and_cease(
    autojump_clock: MockClock,
) -> None:
    async with world(BootNotification=RARE_BEATS, MeterValues=Answer(payload={})) as w:
        await w.online()
        await trio.sleep(60)
        await set_key(w, "ClockAlignedDataInterval", "300")  # it is a quarter past nine, and a minute
        await trio.sleep(600)
        assert w.csms.times("MeterValues") == [pytest.approx(300, abs=0.1), pytest.approx(600, abs=0.1)]

        await set_key(w, "ClockAlignedDataInterval", "0")
        await trio.sleep(1000)
        assert len(w.csms.calls("MeterValues")) == 2


async def test_rule_24_a_sample_interval_and_measurands_hold_for_the_transaction_that_runs(
    autojump_clock: MockClock,
) -> None:
    done = Answer(payload={})
    scripts: dict[str, Any] = {"StartTransaction": STARTED, "StopTransaction": done, "MeterValues": done}
    async with world(BootNotification=RARE_BEATS, **scripts) as w:
        await w.online(configuration={"MeterValueSampleInterval": "0"})
        assert await w.csms.latest.order("RemoteStartTransaction", {"idTag": "A"}) == {"status": "Accepted"}
        await trio.sleep(300)
        assert len(w.csms.calls("StartTransaction")) == 1
        assert w.csms.calls("MeterValues") == []

        await set_key(w, "MeterValuesSampledData", "Voltage")
        await set_key(w, "MeterValueSampleInterval", "100")
        await trio.sleep(250)
        assert w.csms.times("MeterValues") == [400.0, 500.0]
        values = [
            call.payload["meterValue"][0]["sampledValue"][0]["measurand"] for call in w.csms.calls("MeterValues")
        ]
        assert values == ["Voltage", "Voltage"]


@pytest.mark.parametrize(("unlocks", "status"), [("true", "Available"), ("false", "Finishing")])
async def test_a_cable_that_was_pulled_at_the_car_is_unlocked_or_waits_for_its_driver(
    autojump_clock: MockClock, unlocks: str, status: str
) -> None:
    done = Answer(payload={})
    scripts: dict[str, Any] = {"StartTransaction": STARTED, "StopTransaction": done, "MeterValues": done}
    async with world(BootNotification=RARE_BEATS, **scripts) as w:
        charge_point = await w.online()
        assert await set_key(w, "UnlockConnectorOnEVSideDisconnect", unlocks) == "Accepted"
        await w.csms.latest.order("RemoteStartTransaction", {"idTag": "A"})
        await trio.sleep(300)
        session = memory_of(charge_point).connectors[1].session
        assert session is not None
        session.unplug()
        await trio.sleep(60)

        assert [call.payload["reason"] for call in w.csms.calls("StopTransaction")] == ["EVDisconnected"]
        assert memory_of(charge_point).connectors[1].status == status
        await trio.sleep(3 * 3600)
        assert memory_of(charge_point).connectors[1].status == "Available"
