"""What a link needs of a connection.

ConnectFailed   no connection came about; counted by outcome
ConnectionLost  an open connection ended; counted by close code
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import trio

ABNORMAL_CLOSURE: Final = 1006
"""RFC 6455, section 7.4.1: the connection ended without a close frame."""
REFUSING: Final = frozenset({1002, 1003, 1007, 1009, 1011})
"""Close codes (RFC 6455, section 7.4.1) by which the other side fails to process what it was just sent; other ends
of a connection are none of a message's fault."""


class ConnectFailed(Exception):
    """No connection: *outcome* is short and countable, *detail* for people."""

    def __init__(self, outcome: str, detail: str) -> None:
        super().__init__(f"{outcome}: {detail}")
        self.outcome = outcome
        self.detail = detail


class ConnectionLost(Exception):
    """The connection is gone; *code* is its close code (RFC 6455, section 7.4)."""

    def __init__(self, code: int = ABNORMAL_CLOSURE, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason

    def bare(self) -> ConnectionLost:
        """Return it without the traceback, which would keep alive, in a cycle, all that it passed through."""
        return ConnectionLost(self.code, self.reason)


class Transport(Protocol):
    """An open connection that carries texts."""

    connect_seconds: float
    handshake_seconds: float

    @property
    def held(self) -> bool:
        """Whether `hold` was called, and `release` not yet."""

    async def send(self, text: str) -> None:
        """Send one text message; cancelled while the transport is held, nothing of it is sent.

        Raises:
            ConnectionLost: the connection has ended.
        """

    def begin_send(self, text: str) -> Awaitable[None] | None:
        """Send one text message as far as that takes no waiting: None, or what is to be awaited for the rest of it.

        Nearly always the socket takes a whole message at once; then who sends needs no scope for the time that it
        might take. It is awaited at once, and when that is cancelled part of the message may be out.

        Raises:
            ConnectionLost: the connection has ended; the awaitable raises it too.
        """

    def listen(
        self,
        nursery: trio.Nursery,
        on_message: Callable[[str | bytes], None],
        on_lost: Callable[[ConnectionLost], None],
    ) -> None:
        """From now on hand over each message as it arrives, bytes for a binary one, and once the connection's end.

        What came before is kept until then. After `abort` or `reset` no message is handed over any more. *on_lost*
        is called last and once, whoever ended the connection. Both are plain functions that wait for nothing; what
        they raise goes to *nursery*. What reads runs there, and ends with the connection; it is to be cancelled only
        when nothing more is to be heard.
        """

    async def ping(self) -> None:
        """Send a ping and wait for its pong.

        Raises:
            ConnectionLost: the connection has ended.
        """

    async def aclose(self) -> None:
        """Close with code 1000 and wait for the other side, briefly; never raises."""

    async def abort(self) -> None:
        """Drop the connection without a close handshake; never raises, never waits."""

    # What makes trouble on purpose.

    async def reset(self) -> None:
        """Drop the connection with a TCP reset (RFC 9293, section 3.10.5); never raises, never waits."""

    def hold(self) -> None:
        """From now on read and write nothing, and keep the socket: a half-open connection.

        A send waits, pings get no pong, and that the other side hangs up is not seen. `aclose` ends the connection
        without a closing handshake.
        """

    def release(self) -> None:
        """Go on where `hold` stopped: what came meanwhile is read, what waits is sent."""

    async def released(self) -> None:
        """Wait until the transport is not held, or has ended; the next send does not wait for it."""

    def slow_down(self, slowness: Slowness | None) -> None:
        """Delay what goes out and what comes in from now on, in order; None ends it for what follows.

        A send does not wait for the latency, and for the bandwidth only when much is under way already. What is
        under way when the connection ends is lost.
        """

    async def send_raw(self, message: str | bytes, *, frames: int = 1) -> None:
        """Send any message, right or wrong, in so many WebSocket frames (RFC 6455, section 5.4).

        A character of several bytes, where there is one, is cut in two. A message that is cancelled halfway ends
        the connection.

        Raises:
            ConnectionLost: the connection has ended.
        """


@dataclass(frozen=True, slots=True)
class Slowness:
    """A slow way to the CSMS: *latency* gives the seconds that what is sent now takes longer, in one direction.

    *bandwidth* is bytes a second in each direction; None: no limit.
    """

    latency: Callable[[], float]
    bandwidth: float | None = None


class Connector(Protocol):
    """Makes connections to the CSMS."""

    async def connect(self, nursery: trio.Nursery, request: ConnectRequest) -> Transport:
        """Open a connection whose background work runs in *nursery* and never raises there.

        Raises:
            ConnectFailed: with what came instead.
        """

    def security_profile(self, request: ConnectRequest) -> int:
        """Tell how connections are secured: 1 basic authentication, 2 over TLS, 0 neither or only TLS."""


class ConnectRequest(Protocol):
    """What a connector must know of a charge point."""

    @property
    def identity(self) -> str:
        """The charge point's identity, as it is, not percent-encoded."""

    @property
    def password(self) -> str | bytes | None:
        """Its password for basic auth, where it has one of its own; a text goes out as UTF-8."""

    @property
    def number(self) -> int:
        """A number of its own, to spread the charge points over source addresses."""

    @property
    def subprotocol(self) -> str:
        """What to offer: a name; "optional": offer it, go on without; "none": offer nothing."""

    @property
    def slowness(self) -> Slowness | None:
        """How slow the way to the CSMS is from the first packet on, as after `Transport.slow_down`."""
