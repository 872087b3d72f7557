"""The oracle for figures: a CSMS that delays, refuses and stalls by a known plan, and times itself.

`python -m tests.peers.truth_server --latency lognormal:40,0.6 --refuse-every 20 --stall-at 5 --stall-for 2`

An Authorize counts from its receipt (the wake-up of the event loop that found the socket readable) to the
moment before its answer is handed to the kernel, on a monotonic clock. Both lie inside what a client can see
of the same call, so that every percentile of the client's must be at least the one here.
"""

import argparse
import asyncio
import gc
import heapq
import math
import selectors
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from .framing import Connection, Request, Tally
from .serving import (
    BACKLOG,
    HOST,
    Record,
    announce,
    figures,
    now_text,
    raise_descriptor_limit,
    report,
    until_the_parent_ends_it,
)
from .truth_books import Authorized, Count, Transactions, Visit, moment
from .truth_plan import Plan, parser, plan_of

TICK = 0.01  # seconds between two looks at the loop's own lag

_json = msgspec.json


class StampingSelector(selectors.DefaultSelector):
    """Notes when the loop last woke up: what is handled in a round was readable then, not when its turn came."""

    woken = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        self.woken = time.perf_counter()
        return ready


@dataclass(order=True, slots=True)
class Pending:
    """An answer that is due."""

    due: float
    number: int  # of the order of receipt
    received: float = field(compare=False)
    connection: "ChargePoint" = field(compare=False)
    action: str = field(compare=False)
    refused: bool = field(compare=False)
    text: bytes = field(compare=False)
    call: str = field(compare=False)
    id_tag: str = field(compare=False)


class Truth:
    """The server's state: the plan, what is due, and the record."""

    def __init__(self, plan: Plan, selector: StampingSelector, loop: asyncio.AbstractEventLoop) -> None:
        self.plan = plan
        self.tally = Tally()
        self.counts: dict[str, Count] = {}
        self.booted: set[str] = set()
        self.authorized: list[Authorized] = []
        self.visits: list[Visit] = []
        self.lag: list[float] = []  # seconds, of this server's own wake-ups
        self.transactions = Transactions()
        self.stalled = False
        self._selector = selector
        self._loop = loop
        self._due: list[Pending] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf
        self._held: list[tuple[ChargePoint, bytes, float]] = []
        self._first: float | None = None
        self._last = 0.0
        self._stalls: list[Record] = []
        self._answers: dict[str, Callable[[ChargePoint, dict[str, object]], tuple[bytes, bool]]] = {
            "BootNotification": self._boot,
            "Heartbeat": lambda _connection, _payload: (b'{"currentTime":"%s"}' % now_text().encode(), False),
            "Authorize": self._authorize,
            "StartTransaction": self._start,
            "StopTransaction": self._stop,
            "DataTransfer": lambda _connection, _payload: (b'{"status":"UnknownVendorId"}', False),
            "StatusNotification": _empty,
            "MeterValues": _empty,
            "FirmwareStatusNotification": _empty,
            "DiagnosticsStatusNotification": _empty,
            "SecurityEventNotification": _empty,
        }

    def now(self) -> float:
        """When what is being handled was there at the latest."""
        return self._selector.woken

    def connected(self) -> Visit:
        """Open a page of the book for one more connection."""
        visit = Visit(self.now())
        self.visits.append(visit)
        if self._first is None:
            self._first = time.perf_counter()
        if self.plan.stall_at is not None and len(self.visits) == self.plan.stall_after:
            self._loop.call_later(self.plan.stall_at, self._stall)
        return visit

    # Receiving

    def hold(self, connection: "ChargePoint", data: bytes, at: float) -> None:
        self._held.append((connection, data, at))

    def receive(self, connection: "ChargePoint", call: str, action: str, payload: object, at: float) -> None:
        self._last = at
        count = self.counts.setdefault(action, Count())
        count.received += 1
        answer = self._answers.get(action)
        self._number += 1
        delay, refused = 0.0, False
        if answer is None:
            text = b'[4,%s,"NotImplemented","",{}]' % _json.encode(call)
        elif not isinstance(payload, dict):
            self.tally.violations["payload is no object"] += 1
            text = b'[4,%s,"TypeConstraintViolation","",{}]' % _json.encode(call)
        else:
            if action == "Authorize":
                delay = self.plan.latency()
            body, refused = answer(connection, payload)
            text = b"[3,%s,%s]" % (_json.encode(call), body)
        id_tag = str(payload.get("idTag", "")) if isinstance(payload, dict) else ""
        pending = Pending(at + delay, self._number, at, connection, action, refused, text, call, id_tag)
        if delay == 0.0 and not self.stalled:
            self._answer(pending)
            return
        heapq.heappush(self._due, pending)
        if pending.due < self._timer_due and not self.stalled:
            self._wake_at(pending.due)

    # Answering

    def _answer(self, pending: Pending) -> None:
        count = self.counts[pending.action]
        connection = pending.connection
        connection.open_calls.discard(pending.call)
        now = time.perf_counter()
        if not connection.send_text(pending.text):
            count.unanswered += 1
            return
        count.answered += 1
        count.refused += pending.refused
        self._last = now
        if pending.action == "Authorize":
            took = now - pending.received
            self.authorized.append(
                Authorized(connection.identity, pending.received, took, pending.id_tag, pending.refused)
            )
        elif pending.action == "BootNotification":
            connection.visit.booted = now

    def _wake_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(0.0, due - time.perf_counter()), self._wake)

    def _wake(self) -> None:
        self._timer, self._timer_due = None, math.inf
        if self.stalled:
            return
        while self._due and self._due[0].due <= time.perf_counter():
            self._answer(heapq.heappop(self._due))
        if self._due:
            self._wake_at(self._due[0].due)

    # Stalling

    def _stall(self) -> None:
        self.stalled = True
        began = time.perf_counter()
        self._loop.call_later(self.plan.stall_for, self._resume, began)

    def _resume(self, began: float) -> None:
        """Work off what arrived meanwhile, in its order; what is due by now is answered at once.

        The stall is on as long as that lasts, so that nothing overtakes.
        """
        for connection, data, at in self._held:
            connection.feed(data, at)
        held, self._held = len(self._held), []
        self.stalled = False
        self._stalls.append(
            {
                "at_s": began - (self._first or began),
                "for_s": time.perf_counter() - began,
                "from": moment(began),
                "to": moment(time.perf_counter()),
                "reads_held": held,
            }
        )
        self._wake()

    # What is answered

    def _boot(self, connection: "ChargePoint", _payload: dict[str, object]) -> tuple[bytes, bool]:
        self.booted.add(connection.identity)
        connection.booted = True
        parts = (now_text().encode(), self.plan.interval)
        return b'{"status":"Accepted","currentTime":"%s","interval":%d}' % parts, False

    def _authorize(self, _connection: "ChargePoint", payload: dict[str, object]) -> tuple[bytes, bool]:
        if self.plan.refusals.refuse(str(payload.get("idTag", ""))):
            return b'{"idTagInfo":{"status":"Blocked"}}', True
        return b'{"idTagInfo":{"status":"Accepted"}}', False

    def _start(self, connection: "ChargePoint", payload: dict[str, object]) -> tuple[bytes, bool]:
        number = self.transactions.start(connection.identity, payload)
        return b'{"transactionId":%d,"idTagInfo":{"status":"Accepted"}}' % number, False

    def _stop(self, _connection: "ChargePoint", payload: dict[str, object]) -> tuple[bytes, bool]:
        self.transactions.stop(payload)
        return b"{}", False

    # Summing up

    async def watch_the_loop(self) -> None:
        while True:
            due = time.perf_counter() + TICK  # not absolute: one wait of the loop, not a backlog of looks at it
            await asyncio.sleep(TICK)
            self.lag.append(max(0.0, time.perf_counter() - due))

    def record(self, *, samples: bool, visits: bool) -> Record:
        for connection, data, at in self._held:  # still stalled: what arrived was received all the same
            connection.feed(data, at)
        unanswered = Counter(pending.action for pending in self._due)
        record: Record = {
            "peer": "truth_server",
            "seconds": max(0.0, self._last - self._first) if self._first is not None else 0.0,
            "booted": len(self.booted),
            **self.tally.record(),
            "actions": {action: count.record(unanswered[action]) for action, count in sorted(self.counts.items())},
            "authorize": figures([each.seconds for each in self.authorized]),
            "loop_lag": figures(self.lag),
            "stalls": self._stalls,
            "transactions": self.transactions.record(),
        }
        if samples:
            record["authorized"] = [each.record() for each in self.authorized]
        if visits:
            record["visits"] = [each.record() for each in self.visits]
        return record


def _empty(_connection: "ChargePoint", _payload: dict[str, object]) -> tuple[bytes, bool]:
    return b"{}", False


class ChargePoint(Connection):
    """One charge point, and how far it keeps to the protocol."""

    def __init__(self, truth: Truth) -> None:
        super().__init__(truth.tally)
        self.truth = truth
        self.booted = False
        self.open_calls: set[str] = set()
        self._ids: set[str] = set()

    def clock(self) -> float:
        return self.truth.now()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.visit = self.truth.connected()

    def data_received(self, data: bytes) -> None:
        if self.truth.stalled:
            self.truth.hold(self, data, self.clock())
        else:
            self.feed(data, self.clock())

    def answer_request(self, request: Request) -> None:
        super().answer_request(request)
        # A charge point boots again only after a reset: one that has booted before is known by its identity.
        self.booted = self.identity in self.truth.booted
        self.visit.identity = request.identity
        if self.is_open:
            self.visit.opened = time.perf_counter()

    def on_end(self) -> None:
        self.visit.ended = self.clock()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.visit.ended is None:  # it never became a WebSocket
            self.visit.ended = self.clock()

    def on_text(self, payload: bytes, at: float) -> None:
        violations = self.tally.violations
        try:
            message = _json.decode(payload.decode())  # decoded first: a text has to be UTF-8 everywhere
        except (msgspec.DecodeError, UnicodeDecodeError):
            violations["not JSON"] += 1
            return
        match message:
            case [2, str(call), str(action), body]:
                if self.open_calls:
                    violations["overlapping calls"] += 1
                if call in self._ids:
                    violations["id used again"] += 1
                if len(call) > 36:
                    violations["id too long"] += 1
                if not self.booted and action != "BootNotification":
                    violations["before the boot"] += 1
                self._ids.add(call)
                self.open_calls.add(call)
                self.truth.receive(self, call, action, body, at)
            case [3 | 4, *_]:
                violations["answer to no call"] += 1
            case _:
                violations["no frame of OCPP-J"] += 1


async def serve(plan: Plan, chosen: argparse.Namespace, selector: StampingSelector) -> None:
    loop = asyncio.get_running_loop()
    truth = Truth(plan, selector, loop)
    server = await loop.create_server(lambda: ChargePoint(truth), HOST, chosen.port, backlog=BACKLOG)
    announce(server)
    ticker = asyncio.create_task(truth.watch_the_loop())
    await until_the_parent_ends_it(chosen.lifetime)
    ticker.cancel()
    server.close()
    report(truth.record(samples=chosen.samples, visits=chosen.visits))


def main() -> None:
    of = parser()
    chosen = of.parse_args()
    try:
        plan = plan_of(chosen)
    except ValueError as error:
        of.error(str(error))
    raise_descriptor_limit()
    gc.disable()  # 300 s at most: a pause would be in the figures
    selector = StampingSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(serve(plan, chosen, selector))


if __name__ == "__main__":
    main()
