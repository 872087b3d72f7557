"""A scenario resolved: no defaults left open, no units left, nothing that needs a YAML library to read.

The plan is what a worker gets (as msgpack). It can hold secrets, so it is never written to disk or logged.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from loadsim.charge_point.settings import ChargePointSettings


class Identity(msgspec.Struct, frozen=True, array_like=True):
    """A charge point's identity, and its password where the scenario's file gave one."""

    id: str
    password: str | None = None

    def __repr__(self) -> str:
        return f"Identity({self.id!r})"


class TagClass(msgspec.Struct, frozen=True, kw_only=True):
    """Id tags that belong together, and the status that the CSMS is expected to give them.

    Either *tags* lists them, or tag n (from 1) is ``pattern`` with ``{n}`` filled in, *count* of them.
    """

    name: str
    expect: str = "Accepted"
    count: int
    pattern: str | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    """The parentIdTag that the embedded CSMS gives them; they are one group."""

    def tag(self, n: int) -> str:
        """Return tag *n*, counted from 0."""
        return self.tags[n] if self.pattern is None else self.pattern.format(n=n + 1)


DEFAULT_TAGS: Final = TagClass(name="default", count=1000, pattern="TAG{n:05}")
"""The id tags where nothing names any."""


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Charge points that share their settings.

    Either *identities* lists them, or the id of charge point n (from 1) is *pattern* with ``{n}`` and
    ``{fleet}`` filled in, *count* of them. *tags* are shares by tag class name; they sum to 1.
    """

    name: str
    count: int
    pattern: str | None = None
    identities: tuple[Identity, ...] = ()
    settings: ChargePointSettings
    tags: dict[str, float]

    def identity(self, n: int) -> Identity:
        """Return the identity of charge point *n*, counted from 0."""
        if self.pattern is None:
            return self.identities[n]
        return Identity(self.pattern.format(n=n + 1, fleet=self.name))


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the run; *online* is the number of charge points at its end, by fleet name.

    *sessions* are charging sessions that arrive a second at its end, by fleet name; like *online* it is linear
    from the stage before's value, or with *jump* there at once.
    """

    name: str
    duration: float
    online: dict[str, int]
    jump: bool = False
    measure: bool = True
    sessions: dict[str, float] = {}
    arrivals: Literal["poisson", "even"] = "poisson"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the CSMS is and how to reach it; its repr keeps the password to itself.

    *url* has ``{id}`` where the percent-encoded identity goes; it is None while the embedded CSMS is not
    yet listening. *user* may hold ``{id}``. *connect_rate* is per second, over all workers; *in_flight* is
    handshakes at a time, a worker. *ca* is a path of a PEM file.
    """

    url: str | None = None
    user: str | None = None
    password: str | None = None
    ca: str | None = None
    connect_rate: float | None = None
    connect_in_flight: int = 100
    source_addresses: tuple[str, ...] = ()

    @property
    def shown_url(self) -> str | None:
        """The URL for people and files: the values of its query, which may be tokens, are not in it."""
        if self.url is None:
            return None
        path, mark, query = self.url.partition("?")
        hidden = (
            part if "{id}" in part else f"{part.partition('=')[0]}=***" if "=" in part else part
            for part in query.split("&")
        )
        return path + mark + "&".join(hidden)

    def __repr__(self) -> str:
        return f"Target({self.shown_url!r})"


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True):
    """Calls from the embedded CSMS to its charge points, of one kind. Seconds from the run's start, and per second.

    Exactly one of these says when. *at*: once, to the *share* of the charge points known by then that the seed
    chooses, spread evenly over *over*. *rate*: so many in all, each to a charge point drawn among those that it
    suits. *each*: so many of each charge point. *on*: when a connector reports this status, or at ``boot``, which
    is an accepted boot; *after* it by a uniform draw, if it still holds then.

    *payload* is what is given of the request, the rest is filled in (``loadsim.v16.orders``), id tags from *tags*.
    *to* is a glob of identities. *begin* and *end* bound the moments at which calls fall due.
    """

    name: str
    send: str
    payload: dict[str, Any] = {}
    to: str = "*"
    at: float | None = None
    share: float = 1.0
    over: float = 0.0
    rate: float | None = None
    each: float | None = None
    spacing: Literal["poisson", "even"] = "poisson"
    on: str | None = None
    after: tuple[float, float] = (0.0, 0.0)
    begin: float = 0.0
    end: float | None = None
    tags: tuple[TagClass, ...] = ()
    timeout: float = 30.0


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Trouble that is planned. Seconds of the run, shares, bytes a second.

    Either *at* is its moment, at which it hits the *share* of the charge points planned to be online then that the
    seed chooses; or each of the *share* of a fleet is hit at *rate* a second, poisson, from *begin* to *end*.
    *fleet* None is every fleet.

    *do* is what happens: ``drop``: the connection ends by *how* (``reset``: TCP RST, ``close``: a closing handshake),
    and *duration* later the first reconnect is tried as its schedule has it. ``silent``: for *duration* the socket is
    kept, and nothing is read from or written to it. ``slow``: for *duration* every byte takes *latency* more (a
    uniform draw, one way) and *bandwidth* is all there is. ``malformed``: one message of one of *kinds*. ``csms``:
    the embedded CSMS does *how* for *duration*: ``stall`` (it neither reads nor answers nor accepts), ``restart``
    (all connections are reset and nothing listens), ``refuse`` (handshakes are answered with HTTP *status*),
    ``delay`` (answers take *latency* more).
    """

    name: str
    do: Literal["drop", "silent", "slow", "malformed", "csms"]
    how: Literal["", "reset", "close", "stall", "restart", "refuse", "delay"] = ""
    fleet: str | None = None
    share: float = 1.0
    at: float | None = None
    rate: float | None = None
    begin: float = 0.0
    end: float = 0.0
    duration: float = 0.0
    latency: tuple[float, float] = (0.0, 0.0)
    bandwidth: float | None = None
    kinds: tuple[str, ...] = ()
    status: int = 503


MALFORMED_KINDS: Final = (
    "no_json",
    "no_array",
    "short",
    "empty",
    "unknown_type",
    "unknown_action",
    "schema",
    "duplicate_id",
    "binary",
    "huge",
    "deep",
    "fragmented",
)
"""What a charge point can send that a CSMS must survive; the last one is a whole message, in many frames."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A check and when it is held against the numbers; seconds.

    *over* None is the run, or the stage that *check* names, as a whole; else every stretch of that length in it, of
    which the worst counts. *abort* ends the run as soon as it fails, not before *after*, from which on it is judged.
    """

    check: str
    over: float | None = None
    abort: bool = False
    after: float = 0.0


ON_BOOT: Final = "boot"
"""The value of `PlannedCall.on` that is no status of a connector."""


def follow_up_remote_start(tags: tuple[TagClass, ...], *, name: str = "remote-starts") -> PlannedCall:
    """Return the call by which a driver's app starts a session: whoever has plugged in and waits gets started.

    A driver with a card is Preparing for a moment, too, hence the wait.
    """
    return PlannedCall(name=name, send="RemoteStartTransaction", on="Preparing", after=(1.0, 3.0), tags=tags)


MOST_PROCESSES: Final = 64
"""Of one embedded CSMS."""


class EmbeddedCsms(msgspec.Struct, frozen=True, kw_only=True):
    """How the embedded CSMS behaves. Seconds and shares.

    *boot_status* are the answers to an identity's first, second, ... boot, the last one for all that follow.
    *latency* is before every answer: one value, or low and high of a uniform draw. *reject* is the share of
    Authorize answered Blocked although the tag is good. *tags* is accept-all when None, else what each tag
    is answered (unknown tags: Invalid). *parents* are parentIdTags by tag; *expiries* by tag, RFC 3339, are when
    an accepted one becomes Expired. *concurrent_tx*: StartTransaction with a tag that has an open transaction
    already is answered ConcurrentTx. *calls* are what it asks of its charge points by itself. *processes* hold
    the connections, on one port.
    """

    interval: int = 300
    boot_status: tuple[str, ...] = ("Accepted",)
    latency: tuple[float, float] = (0.0, 0.0)
    reject: float = 0.0
    tags: dict[str, str] | None = None
    parents: dict[str, str] = {}
    expiries: dict[str, str] = {}
    concurrent_tx: bool = False
    processes: int = 1
    calls: tuple[PlannedCall, ...] = ()
    faults: tuple[FaultPlan, ...] = ()
    """Those of the plan's that it is to do itself (``csms``)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as it was asked for."""

    name: str
    description: str = ""
    seed: int
    target: Target
    embedded: EmbeddedCsms | None = None
    tag_classes: tuple[TagClass, ...]
    fleets: tuple[FleetPlan, ...]
    stages: tuple[Stage, ...]
    faults: tuple[FaultPlan, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    results: str = "results"
    files: tuple[str, ...] = ("summary.json",)

    @property
    def duration(self) -> float:
        """The planned length of the run in seconds, without its graceful stop."""
        return sum(stage.duration for stage in self.stages)

    @property
    def charge_points(self) -> int:
        """Charge points over all fleets."""
        return sum(fleet.count for fleet in self.fleets)
