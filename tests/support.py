"""A CSMS of the tests, in virtual time and in memory, and charge points that talk to it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import trio
from trio.testing import MockClock

from loadsim.charge_point.arrival import Arrival
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.charge_point.settings import Backoff, ChargePointSettings
from loadsim.charge_point.tags import DrawnTag, TagClassPool, TagPool
from loadsim.link.memory import MemoryTransport, memory_pair
from loadsim.link.transport import ConnectFailed, ConnectionLost, ConnectRequest
from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Example, Totals
from loadsim.v16.dialect import V16

WALL = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
PLAIN_BACKOFF = Backoff(first=5.0, factor=2.0, max=300.0, jitter=0.0)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Received:
    """A call that reached the CSMS."""

    at: float
    identity: str
    connection: int
    id: str
    action: str
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the CSMS says to a call: after *delay* seconds a payload, an error or a raw text; or nothing."""

    payload: Mapping[str, Any] | None = None
    error: str | None = None
    raw: str | bytes | None = None
    silent: bool = False
    delay: float = 0.0
    drop: int | None = None
    """Close code with which the connection is dropped instead of an answer."""


Script = Answer | Callable[[Received], Answer]


def boot(status: str, interval: int = 300, delay: float = 0.0, current_time: str = "2026-11-22T09:15:00Z") -> Answer:
    return Answer(payload={"status": status, "currentTime": current_time, "interval": interval}, delay=delay)


def tag_info(status: str = "Accepted", delay: float = 0.0) -> Answer:
    return Answer(payload={"idTagInfo": {"status": status}}, delay=delay)


SILENCE = Answer(silent=True)
USUAL: Mapping[str, Script] = {
    "BootNotification": boot("Accepted"),
    "Heartbeat": Answer(payload={"currentTime": "2026-11-22T09:15:00Z"}),
    "StatusNotification": Answer(payload={}),
    "Authorize": tag_info(),
    "MeterValues": Answer(payload={}),
    "StopTransaction": Answer(payload={}),
    "DiagnosticsStatusNotification": Answer(payload={}),
    "FirmwareStatusNotification": Answer(payload={}),
    "LogStatusNotification": Answer(payload={}),
    "SecurityEventNotification": Answer(payload={}),
    "SignCertificate": Answer(payload={"status": "Accepted"}),
    "SignedFirmwareStatusNotification": Answer(payload={}),
}


def wall_clock(at: float) -> str:
    """Return the time of day at *at*, in trio's seconds, as a CSMS with a right clock tells it."""
    return (WALL + timedelta(seconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def punctual_boot(received: Received) -> Answer:
    """Accept a boot and tell the right time; beats are so rare that they are in no test's way."""
    return boot("Accepted", 1_000_000, current_time=wall_clock(received.at))


def punctual_beat(received: Received) -> Answer:
    return Answer(payload={"currentTime": wall_clock(received.at)})


def started(transaction_id: int, status: str = "Accepted", delay: float = 0.0, **info: str) -> Answer:
    """Answer a StartTransaction."""
    return Answer(payload={"transactionId": transaction_id, "idTagInfo": {"status": status, **info}}, delay=delay)


class BlockingTransport(MemoryTransport):
    """A MemoryTransport of which sending waits while *blocked*, as TCP does when nobody reads."""

    def __init__(self, end: MemoryTransport) -> None:
        super().__init__(end._outgoing, end._incoming)
        self.blocked = False
        self.handshake_seconds = 0.0
        self.aborted = trio.Event()

    async def send(self, text: str | bytes) -> None:
        if self.blocked:
            await self.aborted.wait()
            await trio.lowlevel.checkpoint()
        await super().send(text)

    def begin_send(self, text: str) -> Awaitable[None] | None:
        return self.send(text) if self.blocked else super().begin_send(text)

    async def send_raw(self, message: str | bytes, *, frames: int = 1) -> None:
        try:
            await super().send_raw(message, frames=frames)
        except trio.Cancelled:
            if self.blocked:
                await self.abort()  # part of it may be out
            raise

    async def abort(self) -> None:
        self.aborted.set()
        await super().abort()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()  # as closing a socket does


class FakeConnection:
    """One connection, seen from the CSMS."""

    def __init__(self, csms: FakeCsms, number: int, identity: str) -> None:
        client, self.transport = memory_pair()
        self.client = BlockingTransport(client)
        self.csms = csms
        self.number = number
        self.identity = identity
        self.opened_at = trio.current_time()
        self.ended_at: float | None = None
        self.unanswered: dict[str, str] = {}
        self.texts: list[str | bytes] = []
        self._asked: dict[str, trio.MemorySendChannel[Any]] = {}
        self._count = 0

    async def serve(self) -> None:
        try:
            while True:
                await self._take(await self.transport.receive())
        except ConnectionLost:
            if self.ended_at is None:
                self.ended_at = trio.current_time()

    async def _take(self, text: str | bytes) -> None:
        self.texts.append(text)
        self.csms.texts.append((trio.current_time(), self.identity, text))
        kind, message_id, *rest = json.loads(text)
        if kind == 2:
            self._take_call(Received(trio.current_time(), self.identity, self.number, message_id, *rest))
        elif message_id in self._asked:
            self._asked.pop(message_id).send_nowait([kind, *rest])
        else:
            self.csms.unasked.append(text)

    def _take_call(self, received: Received) -> None:
        if self.unanswered:
            self.csms.overlaps.append(received)
        self.unanswered[received.id] = received.action
        self.csms.received.append(received)
        script = self.csms.script(received.action)
        answer = script if isinstance(script, Answer) else script(received)
        self.csms.nursery.start_soon(self._say, received, answer)

    async def _say(self, received: Received, answer: Answer) -> None:
        if answer.silent:
            return
        due = max(trio.current_time() + answer.delay, self.csms.stalled_until)
        if due > trio.current_time():
            await trio.sleep_until(due)
        if answer.drop is not None:
            await self.drop(answer.drop)
            return
        self.unanswered.pop(received.id, None)
        if answer.raw is not None:
            raw = answer.raw
            text: str | bytes = raw.replace("{id}", received.id) if isinstance(raw, str) else raw
        elif answer.error is not None:
            text = json.dumps([4, received.id, answer.error, "because", {}])
        else:
            text = json.dumps([3, received.id, answer.payload])
        sent = await self.send(text)
        self.csms.answered[received.action] += sent

    async def send(self, text: str | bytes) -> bool:
        """Send anything; False when the charge point is gone."""
        try:
            await self.transport.send(text)
        except ConnectionLost:
            return False
        return True

    async def ask(self, action: str, payload: Any, message_id: str = "") -> Any:
        """Send a CALL, and return its answer from the message type on, without the id."""
        self._count += 1
        message_id = message_id or f"csms-{self._count}"
        send, receive = trio.open_memory_channel[Any](1)
        self._asked[message_id] = send
        assert await self.send(json.dumps([2, message_id, action, payload]))
        return await receive.receive()

    async def order(self, action: str, payload: Any) -> Any:
        """Send a CALL, and return the payload of its CALLRESULT."""
        kind, content = await self.ask(action, payload)
        assert kind == 3, content
        return content

    async def drop(self, code: int = 1006) -> None:
        """End the connection from the CSMS's side."""
        self.ended_at = trio.current_time()
        self.client.close_code = code
        await self.transport.abort()


class FakeCsms:
    """Answers by script; *received* are all calls that reached it, in order."""

    def __init__(self, nursery: trio.Nursery, **scripts: Script) -> None:
        self.nursery = nursery
        usual = {**USUAL, "StartTransaction": self._start_transaction, **scripts}
        self.scripts: dict[str, list[Script]] = {name: [script] for name, script in usual.items()}
        self.transactions_begun = 0
        self.received: list[Received] = []
        self.texts: list[tuple[float, str, str | bytes]] = []
        self.answered: Counter[str] = Counter()
        self.overlaps: list[Received] = []
        """Calls that came while another of the same connection was unanswered."""
        self.unasked: list[str | bytes] = []
        """Answers to calls that were sent as bare texts."""
        self.connections: list[FakeConnection] = []
        self.connects: list[tuple[float, str]] = []
        self.refuse: Callable[[str], str | None] = lambda identity: None
        self.on_connect: Callable[[FakeConnection], Awaitable[None]] | None = None
        self.connect_delay = 0.0
        self.stalled_until = -math.inf

    def answers(self, action: str, *scripts: Script) -> None:
        """Answer the next calls of *action* so, the last for all that follow."""
        self.scripts[action] = list(scripts)

    def _start_transaction(self, received: Received) -> Answer:
        self.transactions_begun += 1
        return started(self.transactions_begun)

    def script(self, action: str) -> Script:
        scripts = self.scripts[action]
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    async def connect(self, nursery: trio.Nursery, request: ConnectRequest) -> BlockingTransport:
        self.connects.append((trio.current_time(), request.identity))
        await trio.sleep(self.connect_delay)
        outcome = self.refuse(request.identity)
        if outcome is not None:
            raise ConnectFailed(outcome, "as the test wants")
        connection = FakeConnection(self, len(self.connections), request.identity)
        self.connections.append(connection)
        self.nursery.start_soon(connection.serve)
        if self.on_connect is not None:
            self.nursery.start_soon(self.on_connect, connection)
        return connection.client

    def security_profile(self, request: ConnectRequest) -> int:
        return 0 if request.password is None else 1

    def calls(self, action: str | None = None, identity: str | None = None) -> list[Received]:
        return [call for call in self.received if action in (None, call.action) and identity in (None, call.identity)]

    def times(self, action: str | None = None, identity: str | None = None) -> list[float]:
        return [round(call.at, 6) for call in self.calls(action, identity)]

    @property
    def online(self) -> int:
        """Connections that are open now."""
        return sum(connection.ended_at is None for connection in self.connections)

    @property
    def latest(self) -> FakeConnection:
        return self.connections[-1]


class World:
    """A CSMS, and the charge points of a test with what they share; time begins at 0."""

    def __init__(self, nursery: trio.Nursery, csms: FakeCsms, context: Context) -> None:
        self.csms = csms
        self.context = context
        self.charge_points: list[ChargePoint] = []
        self._nursery = nursery
        self._ledger = Ledger(context.recorder)

    def make(
        self, n: int = 0, *, identity: str | None = None, tags: TagPool | None = None, **settings: Any
    ) -> ChargePoint:
        chosen = ChargePointSettings(**{"reconnect": PLAIN_BACKOFF, **settings})
        charge_point = ChargePoint(
            self.context,
            V16,
            chosen,
            identity=identity or f"CP{n}",
            number=n,
            fleet="fleet",
            n=n,
            tags=tags,
        )
        self.charge_points.append(charge_point)
        return charge_point

    def start(self, n: int = 0, **settings: Any) -> ChargePoint:
        charge_point = self.make(n, **settings)
        self._nursery.start_soon(charge_point.live)
        return charge_point

    def live(self, charge_point: ChargePoint) -> None:
        self._nursery.start_soon(charge_point.live)

    async def online(self, n: int = 0, **settings: Any) -> ChargePoint:
        """Start a charge point and wait until it is online and quiet."""
        charge_point = self.start(n, **settings)
        await trio.testing.wait_all_tasks_blocked()
        return charge_point

    def arrive(self, charge_point: ChargePoint, id_tag: str = "TAG", **changed: Any) -> bool:
        """Have a driver come, and count it as `Fleet` does; *changed* are fields of the arrival.

        The driver shows a card, stays for 10 minutes and wants 1 kWh.
        """
        usual = Arrival(
            due=self.context.clock.elapsed,
            tag=DrawnTag(id_tag, "", ""),
            remote=False,
            plugged_in=600.0,
            energy=1000.0,
            no_show=False,
            other_tag=None,
            hurry=0.0,
        )
        counters = self.context.recorder.counters
        counters["sessions.due"] += 1
        came = charge_point.dialect.arrive(charge_point, usual._replace(**changed))
        counters["sessions.no_free_connector"] += not came
        return came

    @property
    def counters(self) -> Counter[str]:
        return self._ledger.totals.counters

    @property
    def examples(self) -> list[Example]:
        return self._ledger.examples

    def numbers(self, action: str | None = None, tag_class: str | None = None) -> CallNumbers:
        return self._ledger.numbers(action, tag_class)

    def counted(self, name: str) -> int:
        self._ledger.fold()
        return self.counters[name]

    def time(self, name: str) -> Histogram:
        self._ledger.fold()
        return self._ledger.totals.time(name)

    def lateness(self) -> float:
        return self.time("lateness").max

    async def end(self) -> None:
        """End the run as planned: nothing falls due any more, transactions are left open."""
        if self.context.ended_at is None:
            self.context.ended_at = self.context.clock.elapsed
        for charge_point in self.charge_points:
            charge_point.give_up()
            charge_point.stop()
        await trio.testing.wait_all_tasks_blocked()
        self._nursery.cancel_scope.cancel()

    def settle(self) -> None:
        """Account for what is left of each charge point, none of which will be online again."""
        for charge_point in self.charge_points:
            charge_point.dialect.settle(charge_point)

    def check_books(self) -> None:
        self._ledger.fold()
        assert open_books(self._ledger.totals) == []
        assert open_session_books(self._ledger.totals) == []


@dataclass
class Ledger:
    """All that a recorder has seen, however often it is folded."""

    recorder: Recorder
    totals: Totals = field(default_factory=Totals)
    examples: list[Example] = field(default_factory=list)

    def fold(self) -> Totals:
        snapshot = self.recorder.fold(0.0, gauges={})
        self.totals.add(snapshot)
        self.examples.extend(snapshot.examples)
        return self.totals

    def numbers(self, action: str | None = None, tag_class: str | None = None) -> CallNumbers:
        return self.fold().select(action=action, tag_class=tag_class)


def open_books(totals: Totals) -> list[str]:
    """Name the books of calls and connections that do not close at the end of a run."""
    problems = [
        f"{key}: {problem}"
        for key, numbers in totals.group(lambda key: f"{key.stage} {key.action} {key.tag_class}").items()
        for problem in numbers.open_books()
    ]
    counters = totals.counters
    attempted, opened = counters["connections.attempted"], counters["connections.opened"]
    refused = sum(totals.with_prefix("connections.refused.").values())
    lost = sum(totals.with_prefix("connections.lost.").values())
    if attempted != opened + refused + counters["connections.abandoned"]:
        problems.append(f"connects: {attempted} attempted; {counters}")
    if opened != counters["connections.closed"] + lost:
        problems.append(f"connections: {opened} opened; {counters}")
    return problems


OUTCOMES = (
    "started",
    "no_free_connector",
    "refused",
    "refused_offline",
    "not_authorized",
    "no_show",
    "no_remote_start",
    "interrupted",
    "preparing",
    "behind",
)
"""What can become of a driver."""


def open_session_books(totals: Totals) -> list[str]:
    """Name the books of sessions, transactions and energy that do not close at the end of a run."""
    sessions, transactions = totals.with_prefix("sessions."), totals.with_prefix("transactions.")
    problems = []
    if sessions.get("due", 0) + sessions.get("from_csms", 0) != sum(sessions.get(name, 0) for name in OUTCOMES):
        problems.append(f"sessions: {sessions}")
    begun, ended = transactions.get("begun", 0), transactions.get("ended", 0)
    if begun != sum(transactions.get(name, 0) for name in ("stopped", "lost", "open", "undelivered")):
        problems.append(f"transactions: {transactions}")
    if not sessions.get("started", 0) == begun >= max(ended, transactions.get("started", 0)):
        problems.append(f"sessions that started: {sessions}; {transactions}")
    energy = totals.with_prefix("energy.")
    if transactions.get("stopped", 0) > ended or energy.get("stopped", 0) > energy.get("delivered", 0):
        problems.append(f"stopped without an end: {transactions}; {energy}")
    return problems


def make_context(
    csms: FakeCsms,
    *,
    recorder: Recorder | None = None,
    stage_at: Callable[[float], int] = lambda elapsed: 0,
    seed: int = 42,
    rate: float | None = None,
    in_flight: int = 100,
) -> Context:
    return Context(
        recorder=recorder or Recorder(),
        clock=Clock(WALL),
        connector=csms,
        throttle=Throttle(rate, in_flight),
        stage_at=stage_at,
        seed=seed,
        run_id="test-",
    )


@asynccontextmanager
async def fake_csms(**scripts: Script) -> AsyncIterator[FakeCsms]:
    async with trio.open_nursery() as nursery:
        yield FakeCsms(nursery, **scripts)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def world(**scripts: Script) -> AsyncIterator[World]:
    """A CSMS with these scripts and what charge points share; at the end they are stopped, and all books close."""
    async with fake_csms(**scripts) as csms:
        async with trio.open_nursery() as nursery:
            made = World(nursery, csms, make_context(csms))
            yield made
            await made.end()
        made.settle()
        made.check_books()


def in_virtual_time(run: Callable[[], Awaitable[Result]]) -> Result:
    """Run *run* on a clock of its own that jumps whenever everybody sleeps; for tests that hypothesis drives."""
    return trio.run(run, clock=MockClock(autojump_threshold=0))


def tag_pool(**shares: float) -> TagPool:
    """Ten tags a class, such as good-3; a class named after a status is expected to be answered so."""
    return TagPool(
        [
            TagClassPool(name, name if name in ("Blocked", "Invalid") else "Accepted", share, 10, _tags(name))
            for name, share in shares.items()
        ]
    )


def _tags(name: str) -> Callable[[int], str]:
    return lambda n: f"{name}-{n}"


def increasing(values: list[float]) -> Iterator[float]:
    """Yield the gaps between *values*."""
    for before, after in pairwise(values):
        yield after - before
