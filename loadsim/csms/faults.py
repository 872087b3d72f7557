"""Trouble that the embedded CSMS makes on purpose: it stalls, restarts, refuses handshakes, takes longer to answer.

Moments count from the same beginning as those of the planned calls, and faults that overlap add up. Whatever lasts
is over at the plan's end, or when the run ends before: charge points can then say their last words.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import trio

from loadsim.charge_point.draws import Draws
from loadsim.csms.desk import Lines
from loadsim.csms.gate import Gate
from loadsim.errors import UsageError
from loadsim.scenario.plan import FaultPlan


class _Fault:
    """A fault, and what became of it; *begun* in seconds from the beginning."""

    def __init__(self, plan: FaultPlan, seed: int) -> None:
        if plan.how not in _WAYS or plan.at is None:
            raise UsageError(f"the fault {plan.name!r}: expected one of {', '.join(_WAYS)}, and its moment")
        self.plan = plan
        self.at = plan.at
        self.draws = Draws(seed, "csms", 0, f"fault {plan.name}")
        self.begun: float | None = None
        self.seconds = 0.0
        self.connections_reset = 0
        self.handshakes_refused = 0
        self.messages_held_up = 0

    def record(self) -> dict[str, Any]:
        """Return plain values by name, for JSON."""
        return {
            "how": self.plan.how,
            "begun_s": self.begun,
            "seconds": self.seconds,
            "connections_reset": self.connections_reset,
            "handshakes_refused": self.handshakes_refused,
            "messages_held_up": self.messages_held_up,
        }


class Faults:
    """The faults of one embedded CSMS; ``run`` carries them out, the server asks what it is to do about them.

    What the server does by itself passes *gate*; what is read and written is held up by the lines.
    """

    def __init__(self, plan: Sequence[FaultPlan], *, seed: int, end: float | None, lines: Lines) -> None:
        """Take the plan; nothing of it happens from *end* on, in seconds from the beginning.

        Raises:
            UsageError: a fault is none of a CSMS, or has no moment, or two have the same name.
        """
        self.gate = Gate()
        self._faults = [_Fault(each, seed) for each in plan]
        if len({each.name for each in plan}) < len(plan):
            raise UsageError("two faults have the same name")
        self._end = math.inf if end is None else end
        self._lines = lines
        self._begun = trio.Event()
        self._zero = 0.0
        self._under_way = trio.CancelScope()
        self._refusing: list[_Fault] = []
        self._delaying: list[_Fault] = []

    def begin(self) -> None:
        """Begin now: moments of the plan count from here on."""
        if not self._begun.is_set():
            self._zero = trio.current_time()
            self._under_way.deadline = self._zero + self._end
            self._begun.set()

    def rest(self) -> None:
        """End what lasts, and let nothing more happen."""
        self._under_way.cancel()

    async def run(self) -> None:
        """Carry the plan out, from ``begin`` on, until its last fault is over or until cancelled."""
        await self._begun.wait()
        with self._under_way:
            async with trio.open_nursery() as nursery:
                for fault in self._faults:
                    nursery.start_soon(self._carry_out, fault)

    def refusal(self) -> int | None:
        """Return the HTTP status to answer this handshake with, and count it; None: it is judged as ever."""
        if not self._refusing:
            return None
        fault = self._refusing[-1]
        fault.handshakes_refused += 1
        return fault.plan.status

    def delay(self) -> float:
        """Draw how many seconds this answer takes more, and count it where there is a delay."""
        seconds = 0.0
        for fault in self._delaying:
            fault.messages_held_up += 1
            seconds += fault.draws.between(*fault.plan.latency)
        return seconds

    def record(self) -> dict[str, Any]:
        """Return plain values by name, for JSON."""
        return {"faults": {each.plan.name: each.record() for each in self._faults}}

    async def _carry_out(self, fault: _Fault) -> None:
        await trio.sleep_until(self._zero + fault.at)
        began = trio.current_time()
        fault.begun = began - self._zero
        try:
            async with _WAYS[fault.plan.how](self, fault):
                await trio.sleep_until(self._zero + fault.at + fault.plan.duration)
        finally:
            fault.seconds = trio.current_time() - began

    @asynccontextmanager
    async def _stall(self, fault: _Fault) -> AsyncIterator[None]:
        """Freeze: what comes waits in the sockets, and is read, accepted and answered afterwards."""
        held = self.gate.held
        self.gate.close()
        try:
            held += await self._lines.stall(fault.plan.duration)
            yield
        finally:
            with trio.CancelScope(shield=True):  # the end of a run ends what lasts, and cuts nothing of that short
                fault.messages_held_up = self.gate.held + await self._lines.resume() - held
                await self.gate.open()

    @asynccontextmanager
    async def _restart(self, fault: _Fault) -> AsyncIterator[None]:
        """End as a process does that is killed, and come back with its database."""
        fault.connections_reset = await self._lines.take_away()
        try:
            yield
        finally:
            await self._lines.put_back()

    @asynccontextmanager
    async def _refuse(self, fault: _Fault) -> AsyncIterator[None]:
        self._refusing.append(fault)
        try:
            yield
        finally:
            self._refusing.remove(fault)

    @asynccontextmanager
    async def _delay(self, fault: _Fault) -> AsyncIterator[None]:
        self._delaying.append(fault)
        try:
            yield
        finally:
            self._delaying.remove(fault)


_WAYS: Final[dict[str, Callable[[Faults, _Fault], AbstractAsyncContextManager[None]]]] = {
    "stall": Faults._stall,  # noqa: SLF001 - the table of this very class
    "restart": Faults._restart,  # noqa: SLF001
    "refuse": Faults._refuse,  # noqa: SLF001
    "delay": Faults._delay,  # noqa: SLF001
}
