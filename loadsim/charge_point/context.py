"""What the charge points of one shard share: time, the recorder, the way to the CSMS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import trio

from loadsim.charge_point.outbox import Backlog
from loadsim.charge_point.preflight import Preflight
from loadsim.link.transport import Connector
from loadsim.metrics.recorder import Recorder

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_ALL_TIME: Final = datetime.max - datetime.min
_NOTHING: Final = timedelta()
_LARGE_MESSAGES: Final = 16
_PUNCTUAL: Final = 0.02
"""Seconds by which a connect may be late without delaying the next: else every late wake-up would lower the rate."""


class Clock:
    """Seconds since the run began, and the wall clock that goes with them; follows trio's clock.

    Made without a *wall* clock it stands at 0 until `begin`: what happens before the run happens at 0 s of it, and
    what falls due then is due when it begins. Whoever must know how long ago that was keeps trio's time.
    """

    def __init__(self, wall: datetime | None) -> None:
        self._zero = trio.current_time()
        self._wall = datetime.now(UTC) if wall is None else wall.astimezone(UTC)
        self._stands = wall is None

    def begin(self, wall: datetime) -> None:
        """Begin the run: it is *wall* now, and 0 s."""
        self._zero = trio.current_time()
        self._wall = wall.astimezone(UTC)
        self._stands = False

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return 0.0 if self._stands else trio.current_time() - self._zero

    def trio_time(self, elapsed: float) -> float:
        """Turn seconds of the run into trio's time."""
        return (trio.current_time() if self._stands else self._zero) + elapsed

    def wall(self) -> datetime:
        """Return the time of day in UTC."""
        return self._wall + timedelta(seconds=self.elapsed)


def moved_on(told: str, seconds: float) -> datetime:
    """Return what an RFC 3339 time has become after *seconds*, in UTC.

    A CSMS may name a time beyond either end of the calendar: there the clock stands still.
    """
    since = datetime.fromisoformat(told.upper()) - _BEGINNING + timedelta(0, seconds)
    if not _NOTHING <= since <= _ALL_TIME:
        since = min(max(since, _NOTHING), _ALL_TIME)
    return _BEGINNING + since


class Throttle:
    """Paces connects: at most *rate* a second (None: no cap) and *in_flight* handshakes at a time.

    The turn in the rate comes last, and is one's alone: those whom slow handshakes, or this machine, have held up do
    not make up for it afterwards.
    """

    def __init__(self, rate: float | None, in_flight: int) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0
        self._pace = trio.Lock()
        self._slots = trio.Semaphore(in_flight)

    async def __aenter__(self) -> None:
        await self._slots.acquire()
        if not self._gap:
            return
        try:
            async with self._pace:
                await trio.sleep_until(self._next)
                now = trio.current_time()
                self._next = (self._next if now - self._next < _PUNCTUAL else now) + self._gap
        except BaseException:
            self._slots.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()


class Context:
    """The surroundings of the charge points of one shard."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        clock: Clock,
        connector: Connector,
        throttle: Throttle,
        stage_at: Callable[[float], int],
        seed: int,
        run_id: str = "",
        preflight: Preflight | None = None,
    ) -> None:
        self.recorder = recorder
        self.clock = clock
        self.connector = connector
        self.throttle = throttle
        self.stage_at = stage_at
        self.seed = seed
        self.run_id = run_id
        self.preflight = preflight
        """What the first charge points are tried by; None once the run has begun."""
        self.states: Counter[str] = Counter()
        """How many charge points are "booting", "online" or "backing_off" now."""
        self.most_online = 0
        """The most charge points that were online at a time since it was last asked for."""
        self.connections = 0
        """Connections open or being opened."""
        self.charging = 0
        """Transactions that are in progress."""
        self.backlog = Backlog()
        """Messages about transactions that are not delivered yet."""
        self.open_transactions: list[int] = []
        """The CSMS's ids of the transactions that charge points still know at their end."""
        self.connectors_freed = 0
        """How often a connector has become available: what tells that a search for a free one may succeed."""
        self.on_freed: Callable[[int], None] | None = None
        """Is told the number of a charge point at which a connector has become available."""
        self.reservations = 0
        """Reservations that were made so far."""
        self.large_messages = trio.Semaphore(_LARGE_MESSAGES)
        """Taken by who sends one: thousands at a time would need gigabytes, and each would take its time from all."""
        self.open_calls = 0
        """Calls that are sent and not ended."""
        self.ended_at: float | None = None
        """The end of the run, planned or asked for, in its seconds: what falls due later is not due."""
        self.drained_at: float | None = None
        """When the open calls had ended: the waits of what was not sent end here."""

    def begin(self, wall: datetime) -> None:
        """Begin the run, whose time of day is *wall* now: the clock goes, and the charge points that wait go on."""
        self.clock.begin(wall)
        preflight, self.preflight = self.preflight, None
        if preflight is not None:
            preflight.begun.set()

    def connector_freed(self, number: int) -> None:
        """Note that a connector has become available at charge point *number*."""
        self.connectors_freed += 1
        if self.on_freed is not None:
            self.on_freed(number)

    async def sleep_until(self, due: float, *, in_crowd: bool = False) -> None:
        """Sleep until *due*, in seconds of the run, and record how late the wake-up was.

        Not of those *in_crowd*, whom one event may have wake in one instant: it is late once, as the fleet's ticker
        tells, and thousands that each said so would drown the rest of the run.
        """
        at = self.clock.trio_time(due)
        if at > trio.current_time():
            await trio.sleep_until(at)
            if not in_crowd:
                self.recorder.lateness.append(trio.current_time() - at)
        else:
            await trio.lowlevel.checkpoint()
