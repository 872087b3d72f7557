"""Plays a worker for `benchmarks.conductor`: the numbers of 12,500 charge points, and nobody behind them.

``python -m benchmarks.numbers`` speaks a worker's protocol on its pipes. Everything it will say is packed before the
run begins, so that it takes next to nothing of the machine while the conductor is measured.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Health
from loadsim.scenario.load_profile import stage_at, stage_ends
from loadsim.scenario.plan import Plan
from loadsim.workers.protocol import Go, Prepare, Ready, Report, Tried, pack, read_order
from loadsim.workers.shard_worker import TICK

_TICKER: Final = 0.010
_OUTAGE: Final = (26.0, 40.0)
"""From the fault's moment until the last one is back, in seconds of the run."""


class _Load(NamedTuple):
    """Calls a second of one action in all workers together: while the fleet ramps up, and later."""

    action: str
    tag_class: str
    ramping: float
    later: float


_LOADS: Final = (
    _Load("BootNotification", "", 8_333, 20),
    _Load("StatusNotification", "", 25_000, 600),
    _Load("Heartbeat", "", 170, 333),
    _Load("Authorize", "drivers", 18, 85),
    _Load("Authorize", "stolen", 0, 2),
    _Load("Authorize", "unknown", 0, 1),
    _Load("StartTransaction", "", 0, 50),
    _Load("StopTransaction", "", 0, 50),
    _Load("MeterValues", "", 0, 400),
    _Load("DataTransfer", "", 0, 10),
    _Load("FirmwareStatusNotification", "", 0, 5),
)
_TIMES: Final = (("remote_start", 15.0), ("outbox_wait", 10.0), ("commands.RemoteStartTransaction", 15.0))


def main() -> None:
    """Be a worker: prepare the numbers, then say them every half second until the plan's end."""
    orders = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 - a descriptor
    prepare = read_order(orders)
    if not isinstance(prepare, Prepare):
        return
    words = list(_words(prepare.plan, prepare.shard, prepare.workers))
    _say(pack(Ready(shard=prepare.shard)))
    read_order(orders)  # Try
    _say(pack(Tried(shard=prepare.shard)))
    if not isinstance(read_order(orders), Go):
        return
    due = time.perf_counter()
    for word in words:
        due += TICK
        time.sleep(max(due - time.perf_counter(), 0.0))
        _say(word)


def _say(word: bytes) -> None:
    sys.stdout.buffer.write(word)
    sys.stdout.buffer.flush()


def _words(plan: Plan, shard: int, workers: int) -> Iterator[bytes]:
    """Yield what the worker says of each tick."""
    draws = random.Random(shard)
    recorder = Recorder(shard, stage_ends=stage_ends(plan.stages))
    ramp, mine = plan.stages[0].duration, plan.charge_points // workers
    online = 0
    for tick in range(1, round(plan.duration / TICK) + 1):
        elapsed = tick * TICK + 0.002
        now = min(mine, round(mine * elapsed / ramp))
        recorder.online_time.change((tick - 1) * TICK, now - online)
        online = now
        _calls(plan, recorder, draws, elapsed - TICK, 1 / workers)
        _times(recorder, draws, 1 / workers)
        _counters(recorder, draws, elapsed, mine)
        final = elapsed + TICK > plan.duration + TICK
        snapshot = recorder.fold(elapsed, gauges=_gauges(online), health=_health(draws), final=final)
        yield pack(Report(snapshot))


def _calls(plan: Plan, recorder: Recorder, draws: random.Random, at: float, share: float) -> None:
    """Record a tick's calls; the answers to some of them come in the next stage."""
    ramping = at < plan.stages[0].duration
    for load in _LOADS:
        expected = (load.ramping if ramping else load.later) * share * TICK
        count = int(expected + draws.random())
        stage = stage_at(plan.stages, at if draws.random() < 0.9 else max(at - 1.0, 0.0))
        if not count:
            continue
        series = recorder.series(stage, load.action, load.tag_class)
        services = [draws.lognormvariate(-4.0, 0.6) for _ in range(count)]
        series.planned += count
        series.sent += count
        if load.tag_class in ("", "drivers"):
            series.accepted += count
        else:
            series.rejected += count
        series.service += services
        series.response += [service + draws.expovariate(500) for service in services]
        recorder.counters["messages.sent"] += count
        recorder.counters["messages.received"] += count
        recorder.counters["bytes.sent"] += 120 * count
        recorder.counters["bytes.received"] += 80 * count


def _times(recorder: Recorder, draws: random.Random, share: float) -> None:
    recorder.lateness += [draws.lognormvariate(-7.0, 0.5) for _ in range(round(TICK / _TICKER) + 60)]
    recorder.gc_pause.append(draws.uniform(0.003, 0.008))
    for name, rate in _TIMES:
        recorder.time(name).extend(draws.lognormvariate(-5.0, 0.5) for _ in range(int(rate * share + draws.random())))


def _counters(recorder: Recorder, draws: random.Random, elapsed: float, mine: int) -> None:
    counters, begin = recorder.counters, _OUTAGE[0]
    counters["sessions.due"] += 3
    counters["sessions.started"] += 3
    counters[f"sessions.due.{int(elapsed // 12)}"] += 3
    counters["transactions.begun"] += 3
    counters["transactions.stopped"] += 2
    counters["energy.delivered"] += 9_000
    counters["commands.RemoteStartTransaction.received"] += 1
    if elapsed < 12:
        counters["connections.attempted"] += 500
        counters["connections.opened"] += 500
        recorder.connect += [draws.lognormvariate(-6.0, 0.5) for _ in range(500)]
        recorder.handshake += [draws.lognormvariate(-6.0, 0.5) for _ in range(500)]
    elif elapsed < 24:
        counters["faults.lte_drops.hit"] += 2
        counters["faults.lte_drops.offline"] += 2
        for _ in range(2):
            recorder.recovered("lte_drops", draws.uniform(5.0, 7.5))
    elif begin <= elapsed < begin + TICK:
        counters["faults.site_outage.hit"] += mine // 10
        counters["faults.site_outage.offline"] += mine // 10
        counters["connections.lost.1006"] += mine // 10
    elif begin < elapsed < _OUTAGE[1]:
        back = mine // 10 // 28
        counters["connections.attempted"] += back
        counters["connections.opened"] += back
        for _ in range(back):
            recorder.recovered("site_outage", draws.uniform(elapsed - TICK, elapsed) - begin)


def _gauges(online: int) -> dict[str, int]:
    return {
        "charge_points.online_peak": online,
        "charge_points.started": online,
        "charge_points.online": online,
        "charge_points.booting": 0,
        "charge_points.backing_off": 0,
        "charge_points.online_end": online,
        "transactions.running": online // 20,
        "outbox.waiting": 3,
    }


def _health(draws: random.Random) -> Health:
    return Health(
        cpu=draws.uniform(0.2, 0.4),
        cpu_window=1.0,
        rss=250_000_000,
        rss_empty=40_000_000,
        descriptors=12_600,
        descriptor_limit=20_000,
    )


if __name__ == "__main__":
    main()
