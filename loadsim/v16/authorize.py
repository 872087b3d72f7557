"""Authorize as drivers arrive (OCPP 1.6, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals
from loadsim.charge_point.tags import DrawnTag
from loadsim.link.link import CallFailed
from loadsim.v16.memory import is_accepted
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import AuthorizeRequest, AuthorizeResponse
from loadsim.v16.status import learn

_LEFT_AT_A_TIME: Final = 500
AUTHORIZE: Final = BY_NAME["Authorize"]


async def authorize(charge_point: ChargePoint) -> None:
    """Authorize as drivers arrive, until cancelled; a failed call is counted, and the next is due anyway."""
    settings, tags = charge_point.settings.authorize, charge_point.tags
    if settings is None or settings.rate == 0 or tags is None:
        return
    tag_draws = charge_point.draws(f"tags {charge_point.lives}")
    arrival_draws = charge_point.draws(f"arrivals {charge_point.lives}")
    arrivals = arrival_times(settings, charge_point.living_since, arrival_draws)
    due, drawn = next(arrivals), tags.draw(tag_draws)
    in_hand = False
    try:
        while True:  # absolute, from the plan: slow answers must not thin the load
            await charge_point.context.sleep_until(due)
            in_hand = True
            with suppress(CallFailed):
                response = await send_authorize(charge_point, drawn, due)
                learn(charge_point, drawn.id_tag, response.id_tag_info)
            due, drawn = next(arrivals), tags.draw(tag_draws)
            in_hand = False
    finally:
        if in_hand:  # cancelled while it waited for its turn, which `call` has counted
            due, drawn = next(arrivals), tags.draw(tag_draws)
        end, left = charge_point.stopped_at, 0
        while end is not None and due <= end:
            charge_point.leave_unsent(AUTHORIZE, [due], drawn.tag_class)
            due, drawn = next(arrivals), tags.draw(tag_draws)
            left += 1
            if left % _LEFT_AT_A_TIME == 0:  # a long backlog must not hold up the others, nor the snapshots
                with trio.CancelScope(shield=True):
                    await trio.lowlevel.checkpoint()


async def send_authorize(charge_point: ChargePoint, drawn: DrawnTag, due: float) -> AuthorizeResponse:
    """Send one Authorize; of a tag that is expected to get no status in particular, any is right.

    Raises:
        CallFailed: no valid answer.
    """

    def expected(response: AuthorizeResponse) -> bool:
        return not drawn.expect or response.id_tag_info.status == drawn.expect

    response: AuthorizeResponse = await charge_point.call(
        AUTHORIZE,
        AuthorizeRequest(id_tag=drawn.id_tag),
        due=due,
        tag_class=drawn.tag_class,
        expected=expected,
        allowed=is_accepted,
    )
    return response


def arrival_times(arrivals: Arrivals, since: float, draws: Draws) -> Iterator[float]:
    """Yield when each driver arrives, in seconds of the run, beginning after *since*, without end.

    Even arrivals begin at a random point of the first gap, so that charge points do not authorize in phase.
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
