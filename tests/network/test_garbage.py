"""What a broken connection leaves behind: nothing that needs the garbage collector, which hardly runs in a worker."""

from __future__ import annotations

import gc
from datetime import UTC, datetime

import pytest
import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.charge_point.settings import Backoff, ChargePointSettings, HeartbeatSettings
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.metrics.recorder import Recorder
from loadsim.v16.dialect import V16
from tests.peers import start

pytestmark = pytest.mark.network

OFTEN = ChargePointSettings(
    heartbeat=HeartbeatSettings(every=0.2),
    reconnect=Backoff(first=0.1, factor=1, max=0.1, jitter=0.5),
    call_timeout=0.5,
)


@pytest.mark.parametrize(
    ("options", "counter"),
    [
        (["--answers", "random-close:0.5"], "connections.lost.1006"),
        (["--behaviour", "http-503"], "connections.refused.http_503"),
        (["--behaviour", "close-at-once"], "connections.refused.closed"),
        (["--answers", "no-json"], "strays.malformed"),
    ],
)
def test_trouble_leaves_nothing_for_the_garbage_collector(options: list[str], counter: str) -> None:
    with start("hostile_server", *options) as peer:
        happened, found = trio.run(trouble, peer.url, counter)

    assert happened > 50
    assert found < happened  # not even one object a time


async def trouble(url: str, counter: str) -> tuple[int, int]:
    """Run some charge points into trouble; return how often it happened, and the garbage found afterwards."""
    recorder = Recorder()
    context = Context(
        recorder=recorder,
        clock=Clock(datetime.now(UTC)),
        connector=WebSocketConnector(Endpoint(f"{url}/{{id}}")),
        throttle=Throttle(None, 100),
        stage_at=lambda _: 0,
        seed=1,
    )
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for number in range(40):
                charge_point = ChargePoint(context, V16, OFTEN, identity=f"G{number}", number=number, n=number)
                nursery.start_soon(charge_point.live)
            await trio.sleep(1)
            gc.collect()
            gc.disable()
            try:
                before = recorder.counters[counter]
                while recorder.counters[counter] < before + 60:  # noqa: ASYNC110 - nothing tells
                    await trio.sleep(0.1)
                found = gc.collect()
            finally:
                gc.enable()
            nursery.cancel_scope.cancel()
    return recorder.counters[counter] - before, found
