"""SendLocalList and GetLocalListVersion (OCPP 1.6, sections 5.10 and 5.15)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.settings import STANDARD_PROFILES
from loadsim.v16.authorization import known
from tests.support import World, world


def entry(id_tag: str, status: str | None = "Accepted", **more: str) -> dict[str, Any]:
    return {"idTag": id_tag} if status is None else {"idTag": id_tag, "idTagInfo": {"status": status, **more}}


async def send(w: World, version: int, kind: str, *entries: dict[str, Any]) -> str:
    request = {"listVersion": version, "updateType": kind, "localAuthorizationList": list(entries)}
    return str((await w.csms.latest.order("SendLocalList", request))["status"])


async def version(w: World) -> int:
    return int((await w.csms.latest.order("GetLocalListVersion", {}))["listVersion"])


async def test_rule_38_an_empty_list_has_version_0(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        assert await version(w) == 0
        assert await send(w, 4, "Full", entry("A")) == "Accepted"
        assert await version(w) == 4
        assert await send(w, 5, "Differential", entry("a", None)) == "Accepted"
        assert await version(w) == 0
        assert await w.csms.latest.order("SendLocalList", {"listVersion": 6, "updateType": "Full"}) == {
            "status": "Accepted"
        }
        assert await version(w) == 0


async def test_a_full_list_replaces_all_that_was_there(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online()
        await send(w, 9, "Full", entry("A"), entry("B", "Blocked", parentIdTag="G"))
        assert await send(w, 2, "Full", entry("C")) == "Accepted"

        assert await version(w) == 2
        assert [known(charge_point, tag) is not None for tag in "ABC"] == [False, False, True]


async def test_a_differential_list_adds_changes_and_removes(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online()
        await send(w, 1, "Full", entry("A"), entry("B"))
        changes = (entry("a", "Blocked"), entry("B", None), entry("C"), entry("D", None))
        assert await send(w, 3, "Differential", *changes) == "Accepted"

        assert await version(w) == 3
        statuses = {tag: None if (found := known(charge_point, tag)) is None else found.status for tag in "ABCD"}
        assert statuses == {"A": "Blocked", "B": None, "C": "Accepted", "D": None}


@pytest.mark.parametrize("older", [0, 6, 7, -3])
async def test_rule_38_a_differential_list_that_is_not_newer_mismatches(
    autojump_clock: MockClock, older: int
) -> None:
    async with world() as w:
        charge_point = await w.online()
        await send(w, 7, "Full", entry("A"))
        assert await send(w, older, "Differential", entry("A", None)) == "VersionMismatch"
        assert await version(w) == 7
        assert known(charge_point, "A") is not None


@pytest.mark.parametrize(
    ("listed", "kind", "entries"),
    [
        (8, "Full", [entry("B"), entry("b")]),
        (8, "Full", [entry("B"), entry("C", None)]),
        (8, "Full", [entry(tag) for tag in "BCDE"]),
        (0, "Full", [entry("B")]),
        (-1, "Full", [entry("B")]),
        (8, "Differential", [entry("B"), entry("B", None)]),
        (8, "Differential", [entry(tag) for tag in "BCD"]),
        (8, "Differential", [entry("x", None)] * 6),
    ],
)
async def test_a_list_that_fails_changes_nothing(
    autojump_clock: MockClock, listed: int, kind: str, entries: list[dict[str, Any]]
) -> None:
    async with world() as w:
        charge_point = await w.online(configuration={"LocalAuthListMaxLength": "3", "SendLocalListMaxLength": "5"})
        await send(w, 7, "Full", entry("A"))
        assert await send(w, listed, kind, *entries) == "Failed"
        assert await version(w) == 7
        assert known(charge_point, "A") is not None
        assert known(charge_point, "B") is None


async def test_more_than_can_be_sent_at_a_time_fails(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(configuration={"SendLocalListMaxLength": "2"})
        assert await send(w, 1, "Full", entry("A"), entry("B"), entry("C")) == "Failed"
        assert await send(w, 1, "Full", entry("A"), entry("B")) == "Accepted"
        assert await send(w, 2, "Differential", entry("C")) == "Accepted"


async def test_rule_38_a_charge_point_whose_list_is_disabled_supports_none(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online()
        await send(w, 7, "Full", entry("A"))
        change = {"key": "LocalAuthListEnabled", "value": "false"}
        assert await w.csms.latest.order("ChangeConfiguration", change) == {"status": "Accepted"}
        assert await version(w) == -1
        assert await send(w, 8, "Full", entry("B")) == "NotSupported"
        assert known(charge_point, "A") is None

        await w.csms.latest.order("ChangeConfiguration", {**change, "value": "true"})
        assert await version(w) == 7
        assert known(charge_point, "A") is not None


async def test_rule_38_a_charge_point_without_the_profile_supports_no_list(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(profiles=tuple(name for name in STANDARD_PROFILES if name != "LocalAuthListManagement"))
        assert await version(w) == -1
        assert await send(w, 1, "Full", entry("A")) == "NotSupported"


async def test_the_list_outlives_a_reset(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        await send(w, 7, "Full", entry("A"))
        for kind in ("Soft", "Hard"):
            await w.csms.latest.order("Reset", {"type": kind})
            await trio.sleep(60)
            assert await version(w) == 7
        assert len(w.csms.calls("BootNotification")) == 3
