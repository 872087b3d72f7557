"""Authorize as drivers arrive (OCPP 1.6, section 4.1)."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from operator import attrgetter
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.tags import DrawnTag
from loadsim.v16.memory import is_accepted
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import AuthorizeRequest, AuthorizeResponse
from loadsim.v16.open_arrivals import arrival_times, send_as_due
from loadsim.v16.status import learn

AUTHORIZE: Final = BY_NAME["Authorize"]
_CLASS: Final = attrgetter("tag_class")


def authorize(charge_point: ChargePoint) -> Awaitable[None]:
    """Authorize as drivers arrive, until cancelled.

    No coroutine of its own around the one that it returns: every charge point would pay for it as long as it lives.
    """
    settings, tags = charge_point.settings.authorize, charge_point.tags
    if settings is None or settings.rate == 0 or tags is None:
        return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - whoever gets it awaits it
    tag_draws = charge_point.draws(f"tags {charge_point.lives}")
    arrival_draws = charge_point.draws(f"arrivals {charge_point.lives}")
    times = arrival_times(settings, charge_point.living_since, arrival_draws)
    drivers = partial(tags.draw, tag_draws)
    return send_as_due(charge_point, AUTHORIZE, times, drivers, partial(_send, charge_point), _CLASS)


async def _send(charge_point: ChargePoint, due: float, drawn: DrawnTag) -> None:
    response = await send_authorize(charge_point, drawn, due)
    learn(charge_point, drawn.id_tag, response.id_tag_info)


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
