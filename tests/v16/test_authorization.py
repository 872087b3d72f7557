"""The authorization cache, and what a charge point decides by itself (OCPP 1.6, section 3.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest import mock

import msgspec
import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import UNSET
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.v16 import known_tags
from loadsim.v16.authorization import (
    clear_cache,
    conflicts,
    known,
    list_version,
    may_start_at_once,
    may_start_offline,
    parent_of,
    remember,
    update_list,
)
from loadsim.v16.memory import Memory, memory_of
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.local_list import AuthorizationData, SendLocalListRequest, UpdateType
from loadsim.v16.messages.types import AuthorizationStatus, IdTagInfo
from tests.support import WALL, Answer, boot, tag_info, world

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Bare:
    """As much of a charge point as its memory of tags needs."""

    def __init__(self, **configuration: str) -> None:
        self.settings = ChargePointSettings(configuration=configuration)
        self.memory = Memory()
        self.hours = 0

    def now(self) -> datetime:
        return START + self.hours * HOUR


def bare(**configuration: str) -> ChargePoint:
    return cast("ChargePoint", Bare(**configuration))


def info(status: AuthorizationStatus = "Accepted", hours: int | None = None, parent: str | None = None) -> IdTagInfo:
    """Say what the CSMS says: a tag's status, until so many hours from the start, of a group."""
    return IdTagInfo(
        status=status,
        expiry_date=UNSET if hours is None else format_date_time(START + hours * HOUR),
        parent_id_tag=UNSET if parent is None else parent,
    )


def send_list(charge_point: ChargePoint, version: int, kind: UpdateType = "Full", **entries: IdTagInfo | None) -> str:
    changes = tuple(
        AuthorizationData(id_tag=tag, id_tag_info=UNSET if each is None else each) for tag, each in entries.items()
    )
    request = SendLocalListRequest(list_version=version, update_type=kind, local_authorization_list=changes)
    return update_list(charge_point, request)


def status_of(charge_point: ChargePoint, id_tag: str) -> str | None:
    found = known(charge_point, id_tag)
    return None if found is None else found.status


STATUSES: tuple[AuthorizationStatus, ...] = ("Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx")
TAGS = st.sampled_from(["a", "b", "c", "d", "e", "A", "B"])
ANY_INFOS = st.builds(info, st.sampled_from(STATUSES), st.none() | st.integers(0, 30), st.none() | st.just("Group"))
INFOS = st.just(info()) | st.builds(info, hours=st.integers(0, 30)) | ANY_INFOS
VERSIONS = st.integers(-1, 6)
ENTRIES = st.lists(st.tuples(TAGS, st.none() | INFOS), max_size=4)
CACHED = 2
LISTED = 3
SENT = 4


def valid_if_concurrent(said: IdTagInfo) -> IdTagInfo:
    """Section 3.5.2: to a list, ConcurrentTx is as valid as Accepted."""
    return msgspec.structs.replace(said, status="Accepted") if said.status == "ConcurrentTx" else said


class Tags(RuleBasedStateMachine):
    """The list and the cache beside a model that knows nothing but the specification's words."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = mock.patch.object(known_tags, "MOST_CACHED", CACHED)
        self.patch.start()
        self.charge_point = bare(LocalAuthListMaxLength=str(LISTED), SendLocalListMaxLength=str(SENT))
        self.changed: dict[str, str] = {}
        memory_of(self.charge_point).changed = self.changed
        self.hours = 0
        self.listed: dict[str, IdTagInfo] = {}
        self.version = 0
        self.cache: list[tuple[str, IdTagInfo]] = []
        self.has_list = self.has_cache = True

    def teardown(self) -> None:
        self.patch.stop()

    def status(self, entry: IdTagInfo) -> str:
        over = entry.expiry_date is not UNSET and entry.expiry_date <= format_date_time(START + self.hours * HOUR)
        return "Expired" if over and entry.status == "Accepted" else entry.status

    @rule(tag=TAGS, said=INFOS)
    def the_csms_says_something_of_a_tag(self, tag: str, said: IdTagInfo) -> None:
        remember(self.charge_point, tag, said)
        tag = tag.lower()
        if not self.has_cache or (self.has_list and tag in self.listed):
            return
        self.cache = [each for each in self.cache if each[0] != tag]
        if len(self.cache) == CACHED:
            self.cache = [each for each in self.cache if self.status(each[1]) == "Accepted"]
        if len(self.cache) == CACHED:
            del self.cache[0]
        self.cache.append((tag, said))

    @rule(version=VERSIONS, kind=st.sampled_from(["Full", "Differential"]), entries=ENTRIES)
    def a_list_comes(self, version: int, kind: UpdateType, entries: list[tuple[str, IdTagInfo | None]]) -> None:
        changes = tuple(
            AuthorizationData(id_tag=tag, id_tag_info=UNSET if said is None else said) for tag, said in entries
        )
        request = SendLocalListRequest(list_version=version, update_type=kind, local_authorization_list=changes)
        status = update_list(self.charge_point, request)
        assert status == self.what_becomes_of(version, kind, [(tag.lower(), said) for tag, said in entries])

    def what_becomes_of(self, version: int, kind: str, entries: list[tuple[str, IdTagInfo | None]]) -> str:
        if not self.has_list:
            return "NotSupported"
        if kind == "Differential" and version <= self.version:
            return "VersionMismatch"
        if len({tag for tag, _ in entries}) < len(entries) or (kind == "Full" and None in dict(entries).values()):
            return "Failed"
        after = {**(self.listed if kind == "Differential" else {}), **dict(entries)}
        kept = {tag: valid_if_concurrent(said) for tag, said in after.items() if said is not None}
        if len(kept) > LISTED or version < (1 if kept else 0):
            return "Failed"
        self.listed, self.version = kept, version if kept else 0
        self.cache = [each for each in self.cache if each[0] not in kept]
        return "Accepted"

    @rule()
    def the_cache_is_cleared(self) -> None:
        assert clear_cache(self.charge_point) == self.has_cache
        self.cache = []

    @rule(hours=st.integers(1, 20))
    def time_passes(self, hours: int) -> None:
        self.hours += hours
        cast("Bare", self.charge_point).hours = self.hours

    @rule(on=st.booleans())
    def the_list_is_switched(self, on: bool) -> None:
        self.has_list = on
        self.changed["LocalAuthListEnabled"] = "true" if on else "false"

    @rule(on=st.booleans())
    def the_cache_is_switched(self, on: bool) -> None:
        self.has_cache = on
        self.changed["AuthorizationCacheEnabled"] = "true" if on else "false"

    @invariant()
    def the_same_is_known(self) -> None:
        assert list_version(self.charge_point) == (self.version if self.has_list else -1)
        for tag in ("a", "b", "c", "d", "e", "f"):
            said = self.listed.get(tag) if self.has_list else None
            if said is None and self.has_cache:
                said = dict(self.cache).get(tag)
            expected = None if said is None else self.status(said)
            assert status_of(self.charge_point, tag.upper()) == expected
            group = None if said is None or said.parent_id_tag is UNSET else said.parent_id_tag
            assert parent_of(self.charge_point, tag) == group


TestTags = Tags.TestCase
TestTags.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_the_cache_of_a_charge_point_is_bounded() -> None:
    charge_point = bare()
    for n in range(1_000):
        remember(charge_point, f"tag-{n}", info())

    left = [n for n in range(1_000) if status_of(charge_point, f"TAG-{n}") is not None]
    assert left == list(range(1_000 - known_tags.MOST_CACHED, 1_000))


def test_a_charge_point_that_never_heard_of_a_tag_keeps_nothing() -> None:
    charge_point = bare()
    assert known(charge_point, "a") is None
    assert list_version(charge_point) == 0
    assert clear_cache(charge_point)
    assert memory_of(charge_point).known_tags is None


def test_rule_17_the_list_goes_before_the_cache_and_what_is_listed_is_not_cached() -> None:
    charge_point = bare()
    remember(charge_point, "a", info("Blocked"))
    assert send_list(charge_point, 1, a=info("Accepted", parent="G")) == "Accepted"
    remember(charge_point, "A", info("Invalid"))
    assert status_of(charge_point, "a") == "Accepted"
    assert parent_of(charge_point, "a") == "G"

    assert send_list(charge_point, 2, "Differential", a=None) == "Accepted"
    assert known(charge_point, "a") is None


@pytest.mark.parametrize(
    ("said", "local", "unknown", "may"),
    [
        (info("Accepted"), "true", "false", True),
        (info("Accepted"), "false", "false", False),
        (info("Accepted"), "false", "true", True),
        (info("Accepted", hours=1), "true", "true", True),
        (info("Accepted", hours=0), "true", "true", False),
        (info("Blocked"), "true", "true", False),
        (info("Expired"), "true", "true", False),
        (info("Invalid"), "true", "true", False),
        (info("ConcurrentTx"), "true", "true", False),
        (None, "true", "false", False),
        (None, "false", "true", True),
    ],
)
def test_rule_17_offline_the_keys_decide_who_may_charge(
    said: IdTagInfo | None, local: str, unknown: str, may: bool
) -> None:
    charge_point = bare(LocalAuthorizeOffline=local, AllowOfflineTxForUnknownId=unknown)
    if said is not None:
        remember(charge_point, "a", said)

    assert may_start_offline(charge_point, "A") is may


@pytest.mark.parametrize(
    ("said", "key", "may"),
    [
        (info(), "true", True),
        (info(), "false", False),
        (info(hours=0), "true", False),
        (info("Blocked"), "true", False),
        (None, "true", False),
    ],
)
def test_rule_17_only_a_valid_tag_may_start_unasked_and_only_by_local_pre_authorize(
    said: IdTagInfo | None, key: str, may: bool
) -> None:
    charge_point = bare(LocalPreAuthorize=key)
    if said is not None:
        remember(charge_point, "a", said)

    assert may_start_at_once(charge_point, "a") is may


@pytest.mark.parametrize(
    ("listed", "said", "conflict"),
    [
        ("Accepted", "Accepted", False),
        ("Accepted", "Blocked", True),
        ("Accepted", "Invalid", True),
        ("Accepted", "ConcurrentTx", False),
        ("ConcurrentTx", "Accepted", False),
        ("Blocked", "Accepted", True),
        ("Blocked", "Invalid", False),
        (None, "Blocked", False),
    ],
)
def test_the_list_and_the_csms_conflict_where_one_holds_a_tag_for_valid(
    listed: AuthorizationStatus | None, said: AuthorizationStatus, conflict: bool
) -> None:
    charge_point = bare()
    if listed is not None:
        send_list(charge_point, 1, a=info(listed))

    assert conflicts(charge_point, "a", info(said)) is conflict


def test_a_cache_that_is_switched_off_is_neither_asked_nor_filled() -> None:
    charge_point = bare(AuthorizationCacheEnabled="false")
    remember(charge_point, "a", info())
    assert known(charge_point, "a") is None
    assert not clear_cache(charge_point)


RARE_BEATS = boot("Accepted", interval=100_000)


async def test_rule_32_clearing_the_cache_forgets_the_tags_and_is_rejected_without_one(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        charge_point = await w.online()
        remember(charge_point, "a", info())
        assert await w.csms.latest.order("ClearCache", {}) == {"status": "Accepted"}
        assert known(charge_point, "a") is None

        remember(charge_point, "a", info())
        change = {"key": "AuthorizationCacheEnabled", "value": "false"}
        assert await w.csms.latest.order("ChangeConfiguration", change) == {"status": "Accepted"}
        assert await w.csms.latest.order("ClearCache", {}) == {"status": "Rejected"}
        change["value"] = "true"
        await w.csms.latest.order("ChangeConfiguration", change)
        assert known(charge_point, "a") is None


async def test_rule_17_three_answers_fill_the_cache(autojump_clock: MockClock) -> None:
    later = format_date_time(WALL + timedelta(days=1))
    started: dict[str, Any] = {"transactionId": 1, "idTagInfo": {"status": "Accepted", "expiryDate": later}}
    stopped = Answer(payload={"idTagInfo": {"status": "Blocked"}})
    start = Answer(payload=started, delay=20)
    usual = {"MeterValues": Answer(payload={}), "BootNotification": RARE_BEATS}
    async with world(StartTransaction=start, StopTransaction=stopped, **usual) as w:
        w.csms.answers("Authorize", Answer(payload={"idTagInfo": {"status": "Accepted", "parentIdTag": "G"}}))
        charge_point = await w.online()
        await w.csms.latest.order("RemoteStartTransaction", {"idTag": "App"})
        await trio.sleep(20)
        assert known(charge_point, "app") == IdTagInfo(status="Accepted", parent_id_tag="G")
        await trio.sleep(40)
        assert known(charge_point, "app") == IdTagInfo(status="Accepted", expiry_date=later)
        await trio.sleep(8 * 3600)  # the driver comes back and stops with the same tag
        assert len(w.csms.calls("StopTransaction")) == 1
        assert known(charge_point, "app") == IdTagInfo(status="Blocked")


async def test_rule_17_a_known_tag_starts_without_being_asked_for_by_local_pre_authorize(
    autojump_clock: MockClock,
) -> None:
    done = Answer(payload={})
    started = Answer(payload={"transactionId": 1, "idTagInfo": {"status": "Accepted"}})
    async with world(StartTransaction=started, StopTransaction=done, MeterValues=done) as w:
        await w.online(configuration={"LocalPreAuthorize": "true"}, connectors=2)
        entry = {"idTag": "CARD", "idTagInfo": {"status": "Accepted"}}
        request = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry]}
        assert await w.csms.latest.order("SendLocalList", request) == {"status": "Accepted"}
        for tag in ("card", "stranger"):
            await w.csms.latest.order("RemoteStartTransaction", {"idTag": tag})
            await trio.sleep(60)

        assert [call.payload["idTag"] for call in w.csms.calls("Authorize")] == ["stranger"]
        assert [call.payload["idTag"] for call in w.csms.calls("StartTransaction")] == ["card", "stranger"]


async def test_a_listed_tag_that_the_csms_refuses_is_reported_as_a_conflict(autojump_clock: MockClock) -> None:
    async with world(Authorize=tag_info("Blocked")) as w:
        await w.online()
        entry = {"idTag": "CARD", "idTagInfo": {"status": "Accepted"}}
        request = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry]}
        await w.csms.latest.order("SendLocalList", request)
        await w.csms.latest.order("RemoteStartTransaction", {"idTag": "CARD"})
        await trio.sleep(60)

        errors = [call.payload["errorCode"] for call in w.csms.calls("StatusNotification")]
        assert errors.count("LocalListConflict") == 1
