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
import random
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
    options,
    raise_descriptor_limit,
    report,
    until_the_parent_ends_it,
)

TICK = 0.01  # seconds between two looks at the loop's own lag

_json = msgspec.json
Draw = Callable[[], float]


class StampingSelector(selectors.DefaultSelector):
    """Notes when the loop last woke up: what is handled in a round was readable then, not when its turn came."""

    woken = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        self.woken = time.perf_counter()
        return ready


@dataclass(slots=True)
class Count:
    """The calls of one action."""

    received: int = 0
    answered: int = 0
    refused: int = 0
    unanswered: int = 0  # the connection ended first, or the run did


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


@dataclass(slots=True, kw_only=True)
class Plan:
    """What the server does on purpose."""

    interval: int
    latency: Draw
    refuse_every: int
    blocked_prefix: str
    stall_at: float | None
    stall_for: float


@dataclass(slots=True)
class Transactions:
    """What starts and stops say, against one another."""

    started: int = 0
    stopped: int = 0
    repeated_starts: int = 0  # the same event sent once more: it gets the id it got before
    unknown_stops: int = 0
    running: set[int] = field(default_factory=set)
    seen: dict[tuple[object, ...], int] = field(default_factory=dict)

    def start(self, identity: str, payload: dict[str, object]) -> int:
        event = (identity, *(payload.get(key) for key in ("connectorId", "idTag", "timestamp", "meterStart")))
        if event in self.seen:
            self.repeated_starts += 1
            return self.seen[event]
        self.started += 1
        self.seen[event] = self.started
        self.running.add(self.started)
        return self.started

    def stop(self, payload: dict[str, object]) -> None:
        number = payload.get("transactionId")
        if isinstance(number, int) and number in self.running:
            self.running.remove(number)
            self.stopped += 1
        else:
            self.unknown_stops += 1

    def record(self) -> Record:
        return {
            "started": self.started,
            "stopped": self.stopped,
            "open": len(self.running),
            "repeated_starts": self.repeated_starts,
            "unknown_stops": self.unknown_stops,
        }


class Truth:
    """The server's state: the plan, what is due, and the record."""

    def __init__(self, plan: Plan, selector: StampingSelector, loop: asyncio.AbstractEventLoop) -> None:
        self.plan = plan
        self.tally = Tally()
        self.counts: dict[str, Count] = {}
        self.booted: set[str] = set()
        self.authorize: list[float] = []  # seconds, receipt to answer
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

    def connected(self) -> None:
        if self._first is None:
            self._first = time.perf_counter()
            if self.plan.stall_at is not None:
                self._loop.call_later(self.plan.stall_at, self._stall)

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
        pending = Pending(at + delay, self._number, at, connection, action, refused, text, call)
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
            self.authorize.append(now - pending.received)

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
            {"at_s": began - (self._first or began), "for_s": time.perf_counter() - began, "reads_held": held}
        )
        self._wake()

    # What is answered

    def _boot(self, connection: "ChargePoint", _payload: dict[str, object]) -> tuple[bytes, bool]:
        self.booted.add(connection.identity)
        connection.booted = True
        parts = (now_text().encode(), self.plan.interval)
        return b'{"status":"Accepted","currentTime":"%s","interval":%d}' % parts, False

    def _authorize(self, _connection: "ChargePoint", payload: dict[str, object]) -> tuple[bytes, bool]:
        every, prefix = self.plan.refuse_every, self.plan.blocked_prefix
        refused = bool(every) and self.counts["Authorize"].received % every == 0
        if refused or (prefix and str(payload.get("idTag", "")).startswith(prefix)):
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

    def record(self, *, samples: bool) -> Record:
        for connection, data, at in self._held:  # still stalled: what arrived was received all the same
            connection.feed(data, at)
        unanswered = Counter(pending.action for pending in self._due)
        record: Record = {
            "peer": "truth_server",
            "seconds": max(0.0, self._last - self._first) if self._first is not None else 0.0,
            "booted": len(self.booted),
            **self.tally.record(),
            "actions": {
                action: {
                    "received": count.received,
                    "answered": count.answered,
                    "refused": count.refused,
                    "unanswered": count.unanswered + unanswered[action],
                }
                for action, count in sorted(self.counts.items())
            },
            "authorize": figures(self.authorize),
            "loop_lag": figures(self.lag),
            "stalls": self._stalls,
            "transactions": self.transactions.record(),
        }
        if samples:
            record["authorize_samples_ms"] = [seconds * 1e3 for seconds in self.authorize]
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
        self.truth.connected()

    def data_received(self, data: bytes) -> None:
        if self.truth.stalled:
            self.truth.hold(self, data, self.clock())
        else:
            self.feed(data, self.clock())

    def answer_request(self, request: Request) -> None:
        super().answer_request(request)
        # A charge point boots again only after a reset: one that has booted before is known by its identity.
        self.booted = self.identity in self.truth.booted

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


def parse_latency(text: str, seed: int) -> Draw:
    """Read `fixed:ms`, `uniform:a_ms,b_ms` or `lognormal:median_ms,sigma`; draws are in seconds.

    Raises:
        ValueError: *text* is none of them.
    """
    kind, _, rest = text.partition(":")
    numbers = [float(number) for number in rest.split(",")]
    draws = random.Random(seed)
    match kind, numbers:
        case "fixed", [milliseconds]:
            return lambda: milliseconds / 1e3
        case "uniform", [low, high]:
            return lambda: draws.uniform(low, high) / 1e3
        case "lognormal", [median, sigma]:
            mu = math.log(median / 1e3)
            return lambda: draws.lognormvariate(mu, sigma)
    raise ValueError(f"latency {text!r}: fixed:ms, uniform:a_ms,b_ms or lognormal:median_ms,sigma expected")


async def serve(chosen: argparse.Namespace, selector: StampingSelector) -> None:
    loop = asyncio.get_running_loop()
    plan = Plan(
        interval=chosen.interval,
        latency=parse_latency(chosen.latency, chosen.seed),
        refuse_every=chosen.refuse_every,
        blocked_prefix=chosen.blocked_prefix,
        stall_at=chosen.stall_at,
        stall_for=chosen.stall_for,
    )
    truth = Truth(plan, selector, loop)
    server = await loop.create_server(lambda: ChargePoint(truth), HOST, chosen.port, backlog=BACKLOG)
    announce(server)
    ticker = asyncio.create_task(truth.watch_the_loop())
    await until_the_parent_ends_it(chosen.lifetime)
    ticker.cancel()
    server.close()
    report(truth.record(samples=chosen.samples))


def main() -> None:
    parser = options("A CSMS that knows the truth about its own answers.")
    parser.add_argument("--interval", type=int, default=300, help="seconds, of the boot's answer")
    parser.add_argument("--latency", default="fixed:0", help="of Authorize: fixed:, uniform: or lognormal:")
    parser.add_argument("--seed", type=int, default=1, help="of the latencies")
    parser.add_argument("--refuse-every", type=int, default=0, help="every k-th Authorize is Blocked")
    parser.add_argument("--blocked-prefix", default="", help="tags that are Blocked besides")
    parser.add_argument("--stall-at", type=float, help="seconds after the first connection")
    parser.add_argument("--stall-for", type=float, default=1.0, help="seconds")
    parser.add_argument("--samples", action="store_true", help="every service time in the record too")
    chosen = parser.parse_args()
    try:
        parse_latency(chosen.latency, chosen.seed)
    except ValueError as error:
        parser.error(str(error))
    raise_descriptor_limit()
    gc.disable()  # 300 s at most: a pause would be in the figures
    selector = StampingSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(serve(chosen, selector))


if __name__ == "__main__":
    main()
