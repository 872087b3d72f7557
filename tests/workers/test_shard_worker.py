"""What a worker tells of itself once its load has ended."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from loadsim.fleet import Fleet
from loadsim.garbage import GarbagePolicy
from loadsim.metrics.recorder import Recorder
from loadsim.workers.health import HealthProbe
from loadsim.workers.shard_worker import Worker


async def test_how_late_a_worker_is_while_it_lets_go_of_its_charge_points_is_not_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, ended = Recorder(), trio.Event()
    fleet = cast("Fleet", SimpleNamespace(ended=ended, connections=0, elapsed=1.0, gauges={}))
    told: list[Any] = []
    worker = Worker(cast("Any", io.BytesIO()), io.BytesIO())
    monkeypatch.setattr(worker, "_say", told.append)
    recorder.lateness.append(0.001)

    async with trio.open_nursery() as nursery:
        garbage = GarbagePolicy([])
        nursery.start_soon(worker._watch_until_the_end, garbage, recorder, fleet, HealthProbe())
        await trio.sleep(0.01)
        ended.set()
    recorder.lateness.append(0.125)
    afterwards = recorder.fold(2.0, gauges={})

    assert told[0].snapshot.times["lateness"].max < 0.002
    assert "lateness" not in afterwards.times
