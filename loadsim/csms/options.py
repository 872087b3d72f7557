"""Where the embedded CSMS listens, whom it lets in, and how it behaves."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from loadsim.scenario.plan import EmbeddedCsms

BEGIN_CALLS: Final = b"b"
END_CALLS: Final = b"e"
"""What a CSMS that is a process of its own is told on stdin about its planned calls and faults."""

SubprotocolRule = Literal["ocpp1.6", "optional", "none"]


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One embedded CSMS. It can hold a password, so it is never logged.

    *port* 0 is any free one. *subprotocol*: ``ocpp1.6`` closes what does not offer it (OCPP-J, section 3.2),
    ``optional`` agrees to it where it is offered, ``none`` agrees to none. *password* is that of every charge
    point, None lets all in. *seed* is of the latencies drawn. *db* is the path of a file that keeps
    registrations and transactions from one start to the next; None keeps them in memory. *hold_calls*: the
    planned calls and faults begin when they are told to, and not when the CSMS listens; no call falls due, and no
    fault lasts, *calls_end* seconds after that, or later.

    *control* is where the HTTP endpoint listens, HOST:PORT; None is nowhere. Where that is not loopback it needs
    a *control_token*.
    """

    host: str = "127.0.0.1"
    port: int = 0
    subprotocol: SubprotocolRule = "optional"
    password: str | None = None
    seed: int = 0
    db: str | None = None
    behaviour: EmbeddedCsms = EmbeddedCsms()
    hold_calls: bool = False
    calls_end: float | None = None
    control: str | None = None
    control_token: str | None = None

    def __repr__(self) -> str:
        return f"ServerOptions(host={self.host!r}, port={self.port}, subprotocol={self.subprotocol!r})"
