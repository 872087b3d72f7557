"""What comes before the run: the first charge points connect and boot, and wait for it to begin.

They are ordinary members of their fleets and stay connected; what they have done until then is counted once, as at
0 s of the run (the clock stands until it begins).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
import trio

from loadsim.link.transport import ConnectFailed, Connector, ConnectRequest, Transport

CONNECT_WITHIN: Final = 10.0
"""Seconds that a first charge point's connect may take."""


class Finding(msgspec.Struct, frozen=True):
    """What a first charge point came upon: at which *step* ("connect" or "boot"), what came of it, and in words."""

    charge_point: str
    step: str
    outcome: str
    detail: str


class Preflight:
    """The trial of a shard's first charge points; a context has one until the run begins.

    *problems* forbid the run, *notes* do not. Each charge point comes to one of them at most, or to nothing worth
    a word.
    """

    def __init__(self) -> None:
        self.begun = trio.Event()
        """Set when the run begins; whoever has been tried waits for it."""
        self.over = trio.Event()
        """Set when every first charge point has been tried, or one of them has failed."""
        self.problems: list[Finding] = []
        self.notes: list[Finding] = []
        self._untried: set[str] = set()

    @property
    def untried(self) -> frozenset[str]:
        """The identities of those that have come to nothing yet."""
        return frozenset(self._untried)

    def expect(self, identities: Iterable[str]) -> None:
        """Try these; there may be none."""
        self._untried.update(identities)
        if not self._untried:
            self.over.set()

    async def connect(self, connector: Connector, nursery: trio.Nursery, request: ConnectRequest) -> Transport:
        """Connect as `Connector.connect` does, waiting no longer than somebody would who looks on.

        Raises:
            ConnectFailed: no connection, or none in time.
        """
        with trio.move_on_after(CONNECT_WITHIN):
            return await connector.connect(nursery, request)
        raise ConnectFailed("timeout", f"no connection within {CONNECT_WITHIN:g} s")

    async def wait_for_begin(self, ending: trio.Event) -> None:
        """Wait until the run begins, or is *ending* before it could."""

        async def call_off() -> None:
            await ending.wait()
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call_off)
            await self.begun.wait()
            nursery.cancel_scope.cancel()

    def passed(self, identity: str, note: Finding | None = None) -> None:
        """Note that a charge point has an answer to its boot, perhaps one to tell of."""
        if identity in self._untried:
            self._untried.remove(identity)
            if note is not None:
                self.notes.append(note)
            if not self._untried:
                self.over.set()

    def failed(self, problem: Finding) -> None:
        """Note that a charge point has no answer to its boot, and that the run is not to begin."""
        if problem.charge_point in self._untried:
            self._untried.remove(problem.charge_point)
            self.problems.append(problem)
            self.over.set()
