"""How an answer refuses: functions for the verdict of an Action's row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from loadsim.ocpp.action import Verdict


def status_in(*accepting: str) -> Callable[[Any], Verdict]:
    """Make a judge of answers with a ``status``, of which *accepting* accept and all others refuse."""
    accepted = frozenset(accepting)

    def judge(response: Any) -> Verdict:
        return Verdict.ACCEPTED if response.status in accepted else Verdict.REJECTED

    return judge


status_accepted = status_in("Accepted")


def id_tag_accepted(response: Any) -> Verdict:
    """Judge an answer by what it says of the id tag; one that says nothing of it accepts (StopTransaction)."""
    info = response.id_tag_info
    return Verdict.ACCEPTED if info is UNSET or info.status == "Accepted" else Verdict.REJECTED


def registration(response: Any) -> Verdict:
    """Judge the answer to a BootNotification, the only one that may put off (section 4.2)."""
    return Verdict.PENDING if response.status == "Pending" else status_accepted(response)
