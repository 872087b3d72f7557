"""Calls that fall due by rate, whatever the CSMS does: an open arrival process that a slow answer does not thin."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final, TypeVar

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals
from loadsim.link.link import CallFailed
from loadsim.ocpp.action import Action

_LEFT_AT_A_TIME: Final = 500

T = TypeVar("T")


async def send_as_due(
    charge_point: ChargePoint,
    action: Action,
    times: Iterator[float],
    what: Callable[[], T],
    send: Callable[[float, T], Awaitable[None]],
    tag_class: Callable[[T], str] = lambda arrived: "",
) -> None:
    """Send what falls due, until cancelled; a failed call is counted, and the next is due anyway.

    What has fallen due by the time the charge point stops, and is not sent, is left unsent in the books.

    Args:
        charge_point: who sends.
        action: the row of what it sends.
        times: when each falls due, in seconds of the run, never falling; without end.
        what: called once for each, in their order: what it is about.
        send: makes one such call; it may raise CallFailed.
        tag_class: the class of tags under which one is counted as well.
    """
    due, arrived = next(times), what()
    in_hand = False
    try:
        while True:  # absolute, from the plan: slow answers must not thin the load
            await charge_point.context.sleep_until(due)
            in_hand = True
            with suppress(CallFailed):
                await send(due, arrived)
            due, arrived = next(times), what()
            in_hand = False
    finally:
        if in_hand:  # cancelled while it waited for its turn, which `call` has counted
            due, arrived = next(times), what()
        end, left = charge_point.stopped_at, 0
        while end is not None and due <= end:
            charge_point.leave_unsent(action, [due], tag_class(arrived))
            due, arrived = next(times), what()
            left += 1
            if left % _LEFT_AT_A_TIME == 0:  # a long backlog must not hold up the others, nor the snapshots
                with trio.CancelScope(shield=True):
                    await trio.lowlevel.checkpoint()


def arrival_times(arrivals: Arrivals, since: float, draws: Draws) -> Iterator[float]:
    """Yield when each falls due, in seconds of the run, beginning after *since*, without end.

    Even arrivals begin at a random point of the first gap, so that charge points do not send in phase.
    """
    if arrivals.spacing == "even":
        gap = 1 / arrivals.rate
        first = since + draws.uniform() * gap
        number = 0
        while True:
            yield first + number * gap
            number += 1
    due = since
    while due < math.inf:
        due += draws.exponential(arrivals.rate)
        yield due
