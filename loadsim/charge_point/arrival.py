"""A driver who comes to charge: who it is, how it starts, how long and how much; drawn by the seed (pure)."""

from __future__ import annotations

from typing import NamedTuple

from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import SessionSettings
from loadsim.charge_point.tags import DrawnTag, TagPool


class Arrival(NamedTuple):
    """One driver; *due* in seconds of the run, *plugged_in* in seconds, *energy* that the car wants in watt-hours.

    *remote*: waits for RemoteStartTransaction instead of showing a card. *no_show*: authorizes and does not plug
    in. *other_tag* is what is shown at the stop where that is another one. *hurry*, from [0, 1), says how fast
    the driver is with the cable.
    """

    due: float
    tag: DrawnTag
    remote: bool
    plugged_in: float
    energy: float
    no_show: bool
    other_tag: str | None
    hurry: float


def draw_arrival(settings: SessionSettings, tags: TagPool, draws: Draws, due: float) -> Arrival:
    """Draw a driver; always the same number of draws, so that one setting does not change what another draws."""
    tag = tags.draw(draws)
    remote = draws.uniform() >= settings.rfid
    plugged_in = settings.plugged_in.draw(draws.uniform())
    energy = settings.energy.draw(draws.uniform())
    no_show = draws.uniform() < settings.no_show
    shows_other = draws.uniform() < settings.other_tag
    other = tags.draw_from(tag.tag_class, draws)
    return Arrival(due, tag, remote, plugged_in, energy, no_show, other if shows_other else None, draws.uniform())
