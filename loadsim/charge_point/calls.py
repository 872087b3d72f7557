"""One call that goes out: sent, awaited, judged, timed and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio

from loadsim.charge_point.context import Context
from loadsim.link.link import CallFailed, Link
from loadsim.metrics.calls import CallSeries
from loadsim.ocpp.action import Action, Verdict, encode_payload


async def send_call(
    context: Context,
    link: Link,
    action: Action,
    request: msgspec.Struct,
    series: CallSeries,
    *,
    due: float,
    timeout: float,
    identity: str,
    expected: Callable[[Any], bool] | None,
) -> Any:
    """Send *request* over *link* and return the answer's Struct; *series* takes the counts and times.

    Raises:
        CallFailed: no valid answer; counted under its cause.
    """
    sent = trio.current_time()
    zero = context.clock.trio_time(0.0)
    series.sent += 1
    context.open_calls += 1
    try:
        response, at = await link.call(action, encode_payload(request), now=sent, timeout=timeout)
    except CallFailed as failed:
        ended = failed.at - zero
        setattr(series, failed.cause, getattr(series, failed.cause) + 1)
        series.response.append(ended - due)
        shown = failed.frame or encode_payload(request)
        context.recorder.example(ended, identity, action.name, failed.cause, failed.detail, shown)
        raise
    finally:
        context.open_calls -= 1
    series.response.append(at - zero - due)
    series.service.append(at - sent)
    count_verdict(series, action.verdict(response))
    if expected is not None and not expected(response):
        series.unexpected += 1
    return response


def count_verdict(series: CallSeries, verdict: Verdict) -> None:
    """Count a valid answer by what it says."""
    if verdict is Verdict.ACCEPTED:
        series.accepted += 1
    elif verdict is Verdict.REJECTED:
        series.rejected += 1
    else:
        series.pending += 1
