"""What stands between the sockets of charge points and the central system, wherever the sockets are.

The *lines* are open WebSockets, in this process or in several others; the *desk* is the one place that knows who is
there and what is said. So the central system is the same, and in one process, however many processes hold lines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from loadsim.csms import calling
from loadsim.csms.handshake import Admitted, Refused

Visit = TypeVar("Visit")
"""What a desk remembers a line by."""


class Opening(msgspec.Struct, frozen=True, array_like=True):
    """The request of an opening handshake: path and query, headers, and subprotocols in the peer's order."""

    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    offered: tuple[str, ...]


class Line(calling.Line, Protocol):
    """An open WebSocket of a charge point, wherever it is."""

    @property
    def gone(self) -> bool:
        """Whether nothing more can be sent, as far as is known here."""

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; what the charge point still says is not heard any more."""

    def spawn(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run *function* in a task that lasts no longer than the line."""


class Desk(Protocol[Visit]):
    """Whoever the lines belong to."""

    async def judge(self, opening: Opening) -> Admitted | Refused:
        """Decide on a handshake, and count a refusal."""

    def enter(self, identity: str, line: Line) -> Visit:
        """Take note of a line that is open from now on."""

    async def hear(self, visit: Visit, text: str) -> None:
        """Take what a charge point says; the line is not read until this returns.

        Raises:
            LineLost: the line has ended.
        """

    def leave(self, visit: Visit, code: int | None) -> None:
        """Take note of a line's end; *code* is that of a close, None where it was reset or is not known."""

    def count(self, event: str) -> None:
        """Count one of ``CONNECTION_EVENTS`` or ``FRAME_KINDS``."""


class Lines(Protocol):
    """All the lines, and the door that they come through: what a fault, and the end, does to them.

    What returns a number of messages returns all that have been held up so far.
    """

    @property
    def url(self) -> str:
        """Where they come in."""

    async def stall(self, seconds: float) -> int:
        """Take nothing in and let nothing out, until ``resume`` was called as often; that will be in *seconds*."""

    async def resume(self) -> int:
        """Take one ``stall`` back; with the last one, go on with what waits."""

    async def take_away(self) -> int:
        """Listen no more and reset all lines; return how many charge points were connected."""

    async def put_back(self) -> None:
        """Take one ``take_away`` back; with the last one, listen at the same place again."""
