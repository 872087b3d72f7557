"""A plan of calls carried out: the central system drives its charge points as an operator and as drivers' apps do.

Moments are absolute, and nothing waits for an answer: a charge point that is slow holds up no call to another.
One task looks at the time; a task more lives for each call that is under way, and none for a charge point.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, Final, Protocol

import msgspec
import trio

from loadsim.charge_point.alarm import Alarm
from loadsim.csms.calling import Answered, Outcome
from loadsim.csms.planned import Planned
from loadsim.csms.points import Known, Points
from loadsim.errors import UsageError
from loadsim.ocpp.action import InvalidPayload
from loadsim.ocpp.frame import Call
from loadsim.scenario.plan import ON_BOOT, PlannedCall
from loadsim.v16.orders import Sight, fill, no_authority, suits

HEARD: Final = frozenset({"BootNotification", "StatusNotification", "StartTransaction", "StopTransaction"})
"""What charge points say that a plan of calls can hang on."""


class Caller(Protocol):
    """Calls one charge point: ``Server.call``."""

    def __call__(
        self, identity: str, action: str, payload: Mapping[str, Any], *, timeout: float
    ) -> Awaitable[Outcome]:
        """Return what became of the call.

        Raises:
            InvalidPayload: the request's schema refuses it.
        """


class _Connector(msgspec.Struct):
    """What a StatusNotification or StartTransaction says that counts here."""

    connectorId: int  # noqa: N815 - the protocol's word
    status: str = ""


_decode_connector = msgspec.json.Decoder(_Connector).decode


class Drive:
    """The plan of one embedded CSMS; ``run`` carries it out, the server says who comes, goes and says what."""

    def __init__(
        self,
        plan: Sequence[PlannedCall],
        *,
        seed: int,
        known: Callable[[str], Known],
        call: Caller,
        authority: Callable[[], str] = no_authority,
        end: float | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the plan; nothing falls due from *end* on, in seconds from the beginning.

        Raises:
            UsageError: no request can be made of a call, or two have the same name.
        """
        self._points = Points({each.to for each in plan}, known)
        self._planned = [
            Planned(each, self._points.fields[each.to], seed=seed, number=number) for number, each in enumerate(plan)
        ]
        if len({each.name for each in plan}) < len(plan):
            raise UsageError("two planned calls have the same name")
        self._call = call
        self._authority = authority
        self._end = math.inf if end is None else end
        self._now = now
        self._entries: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count(1)
        self._order = count()
        self._alarm = Alarm()
        self._begun = trio.Event()
        self._resting = False
        self._early: dict[str, None] = {}
        """Who has booted before the beginning, in order: that counts as at the beginning."""
        self._zero = 0.0
        self._nursery: trio.Nursery | None = None
        self._pending: dict[tuple[int, str, int], int] = {}
        """Calls that follow a status, by plan, identity and connector: the number of the one that counts."""

    def __bool__(self) -> bool:
        return bool(self._planned)

    def begin(self) -> None:
        """Begin now: moments of the plan count from here on."""
        if not self._begun.is_set():
            self._zero = trio.current_time()
            self._begun.set()

    def rest(self) -> None:
        """Let nothing more fall due; calls under way come to their ends."""
        self._resting = True
        self._entries.clear()
        self._alarm.ring()

    async def run(self) -> None:
        """Carry the plan out, from ``begin`` on, until cancelled."""
        await self._begun.wait()
        async with trio.open_nursery() as self._nursery:
            for planned in self._planned:
                self._start(planned)
            for identity in self._early:
                if self._points.online(identity):
                    self._follow(identity, ON_BOOT, 0)
            while True:
                if not self._entries:
                    await self._alarm.sleep_until()
                elif (due := self._entries[0][0]) > trio.current_time():
                    await self._alarm.sleep_until(due)
                else:
                    due, _, fall = heapq.heappop(self._entries)
                    fall(due)
                    await trio.lowlevel.checkpoint()  # however many are due, charge points are served between them

    # What the server says.

    def entered(self, identity: str) -> None:
        """Take note that *identity* has connected."""
        if not self._planned or not self._points.accepted(identity):
            return
        self._points.enter(identity)
        if self._begun.is_set():
            for planned in self._planned:
                if identity in planned.field:
                    self._start_stream(planned, identity)

    def left(self, identity: str) -> None:
        """Take note that the connection of *identity* has ended."""
        self._points.leave(identity)

    def heard(self, identity: str, call: Call) -> None:
        """Take note of *call*, one of ``HEARD``, which *identity* sent and which was answered."""
        if call.action == "BootNotification":
            self._points.leave(identity)
            self.entered(identity)
            if not self._begun.is_set():
                self._early[identity] = None
            elif self._points.online(identity):
                self._follow(identity, ON_BOOT, 0)
            return
        point = self._points.online(identity)
        if point is None:
            return
        said = None if call.action == "StopTransaction" else _decode_connector(call.payload)
        if said is not None and said.status != "Preparing":
            point.asked -= {said.connectorId}
        self._points.update(identity, point)
        if said is not None and said.status and said.connectorId > 0:
            self._follow(identity, said.status, said.connectorId)

    def record(self) -> dict[str, Any]:
        """Return plain numbers by name, for JSON."""
        return {"planned_calls": {each.plan.name: each.record() for each in self._planned}}

    # When.

    def _start(self, planned: Planned) -> None:
        """Plan the first moments of *planned*."""
        plan = planned.plan
        if plan.at is not None:
            self._push(plan.at, partial(self._once, planned))
        elif plan.rate:
            moment = plan.begin + planned.first_gap(plan.rate, planned.draws)
            self._push_within(planned, moment, partial(self._fall_by_rate, planned))
        for identity in planned.field.known:
            self._start_stream(planned, identity)

    def _start_stream(self, planned: Planned, identity: str) -> None:
        """Begin the calls of which each charge point has its own, once for each."""
        each = planned.plan.each
        if not each or identity in planned.streams:
            return
        draws = planned.stream(identity)
        begin = max(trio.current_time() - self._zero, planned.plan.begin)
        moment = begin + planned.first_gap(each, draws)
        self._push_within(planned, moment, partial(self._fall_for_each, planned, identity))

    def _push(self, moment: float, fall: Callable[[float], None]) -> None:
        """Have *fall* called at *moment*, in seconds from the beginning."""
        if not self._resting and moment < self._end:
            heapq.heappush(self._entries, (self._zero + moment, next(self._order), fall))
            self._alarm.ring()

    def _push_within(self, planned: Planned, moment: float, fall: Callable[[float], None]) -> None:
        if planned.within(moment):
            self._push(moment, fall)

    def _once(self, planned: Planned, due: float) -> None:
        chosen = planned.chosen()
        if not chosen:
            planned.no_target += 1
        step = planned.plan.over / len(chosen) if chosen else 0.0
        for number, identity in enumerate(chosen):
            self._push(due - self._zero + number * step, partial(self._send, planned, identity, None))

    def _fall_by_rate(self, planned: Planned, due: float) -> None:
        plan = planned.plan
        assert plan.rate is not None
        moment = due - self._zero + planned.gap(plan.rate, planned.draws)
        self._push_within(planned, moment, partial(self._fall_by_rate, planned))
        identity = planned.field.draw(planned.need, planned.draws)
        if identity is None:
            planned.no_target += 1
        else:
            self._send(planned, identity, None, due)

    def _fall_for_each(self, planned: Planned, identity: str, due: float) -> None:
        assert planned.plan.each is not None
        moment = due - self._zero + planned.gap(planned.plan.each, planned.stream(identity))
        self._push_within(planned, moment, partial(self._fall_for_each, planned, identity))
        self._send(planned, identity, None, due)

    # What follows something.

    def _follow(self, identity: str, event: str, connector: int) -> None:
        """Plan the calls that follow *event*, a status of *connector* or a boot."""
        for number, planned in enumerate(self._planned):
            plan = planned.plan
            if plan.on is None or identity not in planned.field:
                continue
            key = number, identity, connector
            if event == plan.on:
                moment = trio.current_time() - self._zero + planned.draws.between(*plan.after)
                self._drop(planned, key)
                if self._begun.is_set() and planned.within(moment) and moment < self._end:
                    self._pending[key] = serial = next(self._order)
                    self._push(moment, partial(self._fall_after, planned, key, serial))
            elif connector:
                self._drop(planned, key)

    def _drop(self, planned: Planned, key: tuple[int, str, int]) -> None:
        """Forget what was to follow: it does not hold any more, or begins anew."""
        if self._pending.pop(key, None) is not None:
            planned.moot += 1

    def _fall_after(self, planned: Planned, key: tuple[int, str, int], serial: int, due: float) -> None:
        if self._pending.get(key) != serial:
            return  # counted as moot when that came to be
        del self._pending[key]
        _, identity, connector = key
        point = self._points.online(identity)
        if point is not None and connector and point.connectors.get(connector) != planned.plan.on:
            planned.moot += 1
        else:
            self._send(planned, identity, connector or None, due)

    # The call itself.

    def _send(self, planned: Planned, identity: str, connector: int | None, due: float) -> None:
        """Make the request, if the charge point has what it needs, and have it sent by a task of its own."""
        assert self._nursery is not None
        plan, point = planned.plan, self._points.online(identity)
        if point is None:
            planned.no_target += 1
            return
        connectors, transactions = point.connectors, point.transactions
        if connector is not None:
            connectors = {number: status for number, status in connectors.items() if number == connector}
            transactions = {number: each for number, each in transactions.items() if each == connector}
        sight = Sight(
            identity=identity,
            connectors=connectors,
            transactions=transactions,
            reservation=point.reservation,
            connector=connector,
            now=self._now(),
            tag=planned.draw_tag,
            number=partial(next, self._numbers),
            pick=planned.draws.below,
            authority=self._authority,
        )
        if not suits(planned.need, sight):
            planned.no_target += 1
            return
        planned.lateness = max(planned.lateness, trio.current_time() - due)
        try:
            payload = fill(plan.send, plan.payload, sight)
        except ValueError:
            planned.invalid += 1
            return
        planned.called += 1
        self._points.mark(identity, plan.send, payload)
        self._nursery.start_soon(self._carry_out, planned, identity, payload)

    async def _carry_out(self, planned: Planned, identity: str, payload: dict[str, Any]) -> None:
        send, accepted = planned.plan.send, False
        try:
            outcome = await self._call(identity, send, payload, timeout=planned.plan.timeout)
            accepted = isinstance(outcome, Answered) and getattr(outcome.response, "status", "") == "Accepted"
        except InvalidPayload:
            planned.called -= 1
            planned.invalid += 1
        self._points.settle(identity, send, payload, accepted=accepted)
