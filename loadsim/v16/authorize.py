"""Authorize as drivers arrive (OCPP 1.6, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.tags import DrawnTag, TagPool
from loadsim.v16.memory import is_accepted
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import AuthorizeRequest, AuthorizeResponse
from loadsim.v16.open_arrivals import OpenArrivals, arrival_times
from loadsim.v16.status import learn

AUTHORIZE: Final = BY_NAME["Authorize"]


def authorize(charge_point: ChargePoint) -> None:
    """Authorize as drivers arrive, until the charge point stops."""
    settings, tags = charge_point.settings.authorize, charge_point.tags
    if settings is not None and settings.rate > 0 and tags is not None:
        draws = charge_point.draws(f"arrivals {charge_point.lives}")
        _Authorizations(charge_point, tags, arrival_times(settings, charge_point.living_since, draws))


class _Authorizations(OpenArrivals[DrawnTag]):
    """Drivers who show their tag."""

    __slots__ = ("_draws", "_tags")

    action = AUTHORIZE

    def __init__(self, charge_point: ChargePoint, tags: TagPool, times: Iterator[float]) -> None:
        self._tags = tags
        self._draws = charge_point.draws(f"tags {charge_point.lives}")
        super().__init__(charge_point, times)

    def arrived(self) -> DrawnTag:
        """Draw the next driver's tag."""
        return self._tags.draw(self._draws)

    def tag_class(self, arrived: DrawnTag) -> str:
        """Return the class of the driver's tag."""
        return arrived.tag_class

    async def send(self, due: float, arrived: DrawnTag) -> None:
        """Authorize, and take in what the CSMS says of the tag."""
        response = await send_authorize(self.charge_point, arrived, due)
        learn(self.charge_point, arrived.id_tag, response.id_tag_info)


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
