"""What planned faults do to one charge point: its connection dropped, silent or slow, a message that is malformed.

Each of the functions tells whether the fault could happen: it needs a connection. Times are seconds of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import trio

from loadsim.charge_point.hits import Hit, Hits
from loadsim.link.link import Link
from loadsim.link.transport import Slowness
from loadsim.metrics.recorder import Recorder

if TYPE_CHECKING:
    from loadsim.charge_point.charge_point import ChargePoint

_LOOK: Final = 1.0
"""Seconds after a silence in which it shows whether the connection has outlived it."""


class Trouble:
    """What goes on with a charge point that was hit by a planned fault."""

    __slots__ = ("_slow", "cut_off_until", "hits", "silent", "silent_until")

    def __init__(self, recorder: Recorder) -> None:
        self.hits = Hits(recorder)
        self.cut_off_until = 0.0
        """Until when it cannot connect."""
        self.silent: Link | None = None
        self.silent_until = 0.0
        self._slow: list[Slowness] = []

    @property
    def slowness(self) -> Slowness | None:
        """How slow its way to the CSMS is: as the newest fault has it that is not over."""
        return self._slow[-1] if self._slow else None

    def begin_slowness(self, slowness: Slowness) -> None:
        """Be slow from now on."""
        self._slow.append(slowness)

    def end_slowness(self, slowness: Slowness) -> None:
        """Be no more as slow as *slowness*."""
        self._slow.remove(slowness)

    def end(self, *, gone: bool) -> None:
        """Take in that the charge point is taken offline, by the plan (*gone*) or because the run is over."""
        self.hits.end(gone=gone)


def _trouble_of(charge_point: ChargePoint) -> Trouble:
    if charge_point.trouble is None:
        charge_point.trouble = Trouble(charge_point.context.recorder)
    return charge_point.trouble


def drop(
    charge_point: ChargePoint, fault: str, moment: float, *, how: Literal["close", "reset"], away: float = 0.0
) -> bool:
    """End the connection; *away* seconds after *moment* the charge point begins to connect by its schedule."""
    if not charge_point.reachable:
        return False
    trouble = _trouble_of(charge_point)
    trouble.cut_off_until = max(trouble.cut_off_until, moment + away)
    charge_point.drop(how)
    trouble.hits.add(Hit(fault, moment, offline=True))
    return True


def fall_silent(charge_point: ChargePoint, fault: str, moment: float, *, until: float) -> bool:
    """Keep the socket and neither read nor write *until* then: the connection is half open.

    A silence ends early with its connection. Of several at a time the longest counts, for each of the faults.
    """
    link = charge_point.link
    if link is None or not charge_point.reachable:
        return False
    trouble = _trouble_of(charge_point)
    trouble.hits.add(Hit(fault, moment, offline=True, lasting=True, silent=True))
    if trouble.silent is link:
        trouble.silent_until = max(trouble.silent_until, until)
    else:
        trouble.silent, trouble.silent_until = link, until
        link.transport.hold()
        charge_point.spawn(_be_silent, charge_point, trouble, link)
    return True


async def _be_silent(charge_point: ChargePoint, trouble: Trouble, link: Link) -> None:
    """Hold *link* as long as the silence is to last, if it does; who is stopped meanwhile hangs up as it is."""
    context = charge_point.context
    while trouble.silent is link and charge_point.link is link and context.clock.elapsed < trouble.silent_until:
        await context.sleep_until(trouble.silent_until, in_crowd=True)
    if trouble.silent is link:
        trouble.silent = None
    if charge_point.link is not link:
        return
    link.transport.release()
    trouble.hits.spoke(context.clock.elapsed)
    await trio.sleep(_LOOK)
    trouble.hits.silence_over()


def be_slow(
    charge_point: ChargePoint,
    fault: str,
    moment: float,
    *,
    until: float,
    latency: tuple[float, float],
    bandwidth: float | None = None,
    stream: str = "",
) -> bool:
    """Have a slow way to the CSMS *until* then, also on connections that are made meanwhile.

    *latency*, one way, is drawn from the charge point's *stream* for each message; *bandwidth* is bytes a second.
    """
    if not charge_point.reachable:
        return False
    trouble = _trouble_of(charge_point)
    draws = charge_point.draws(stream)
    slowness = Slowness(lambda: draws.between(*latency), bandwidth)
    hit = Hit(fault, moment, lasting=True)
    trouble.hits.add(hit)
    trouble.begin_slowness(slowness)
    _apply_slowness(charge_point, trouble)
    charge_point.spawn(_slow_until, charge_point, trouble, slowness, hit, until)
    return True


async def _slow_until(
    charge_point: ChargePoint, trouble: Trouble, slowness: Slowness, hit: Hit, until: float
) -> None:
    await charge_point.context.sleep_until(until, in_crowd=True)
    trouble.end_slowness(slowness)
    _apply_slowness(charge_point, trouble)
    trouble.hits.over(hit)


def _apply_slowness(charge_point: ChargePoint, trouble: Trouble) -> None:
    if charge_point.link is not None:
        charge_point.link.transport.slow_down(trouble.slowness)


def send_malformed(charge_point: ChargePoint, fault: str, *, kind: str, uniform: float) -> bool:
    """Send one malformed message of *kind*, as soon as no call is open; it counts as a hit when it goes out.

    Told of is what the CSMS makes of it: it has survived when a later call on the connection is answered, whatever
    the answer; the message has closed the connection when that ends before, and not by the charge point itself.
    """
    if charge_point.is_silent or not charge_point.reachable:
        return False

    def begins() -> None:
        begun = charge_point.context.clock.elapsed  # which is later where a call was open
        _trouble_of(charge_point).hits.add(Hit(fault, begun, lasting=True, kind=kind))

    charge_point.spawn(charge_point.send_malformed, kind, uniform, begins)
    return True


def watch(charge_point: ChargePoint, fault: str, moment: float) -> Hit | None:
    """Hit a charge point that is online with a fault that is at the CSMS; its end is told by `unwatch`."""
    if not charge_point.is_online:
        return None
    hit = Hit(fault, moment, lasting=True)
    _trouble_of(charge_point).hits.add(hit)
    return hit


def unwatch(charge_point: ChargePoint, hit: Hit) -> None:
    """Take in that the CSMS's fault is over, for a charge point that lives still or again."""
    if charge_point.trouble is not None:
        charge_point.trouble.hits.over(hit)
