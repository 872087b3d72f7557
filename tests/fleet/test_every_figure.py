"""Every figure of whole runs, recomputed from what the CSMS wrote down: ramps, jumps, faults, several workers."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trio

from loadsim.charge_point.distribution import fixed, uniform
from loadsim.charge_point.settings import Arrivals, Backoff, HeartbeatSettings, SessionSettings
from loadsim.scenario.plan import FaultPlan, Plan, Stage, Threshold
from tests.fleet.onlooker import SKEW, TICK, Observed, SeeingCsms, observe
from tests.support import Answer, Received, boot, in_virtual_time, tag_info
from tests.tough import fault_plan

COUNTS = {"a": 12, "b": 6}
STAGES = (
    Stage(name="up", duration=11, online={"a": 9, "b": 5}, sessions={"a": 0.4}),
    Stage(name="warm", duration=9, online={}, measure=False),
    Stage(name="down", duration=13, online={"a": 2, "b": 0}),
    Stage(name="jump", duration=10, online={"a": 12, "b": 6}, jump=True, sessions={"a": 1.0}, arrivals="even"),
    Stage(name="last", duration=17, online={"a": 7}),
)
DURATION = 60.0
MEASURED = ((0.0, 11.0), (20.0, 60.0))
DOWN_AT = 45.0
FAULTS = (
    FaultPlan(name="reset", do="drop", how="reset", at=12.25, share=0.5),
    FaultPlan(name="close", do="drop", how="close", at=36.25, share=0.4, duration=2.0),
    FaultPlan(name="rated", do="drop", how="reset", rate=0.03, begin=5.0, end=50.0, fleet="a"),
    FaultPlan(name="silent", do="silent", at=15.0, share=0.3, duration=4.0),
    FaultPlan(name="slow", do="slow", at=34.0, share=0.5, latency=(0.1, 0.3), duration=8.0),
    FaultPlan(name="down", do="csms", how="restart", at=DOWN_AT, duration=3.0),
)
WINDOWS = (1.0, 3.0, 5.0, 10.0)
CHECKS = (
    Threshold(check="online >= 90%"),
    Threshold(check="online >= 90% during last"),
    Threshold(check="recovery[reset] < 1m"),
    *(Threshold(check="online >= 90%", over=over) for over in WINDOWS),
)

SLOWEST = 0.4
"""Seconds that a message may be under way on a slow line."""
SLOW_AT_ONCE = 20
"""Messages that may be under way at a time."""

Span = tuple[float, float]


def make_plan() -> Plan:
    plan = fault_plan(
        *FAULTS,
        stages=STAGES,
        counts=tuple(COUNTS.values()),
        call_timeout=6.0,
        authorize=Arrivals(rate=0.3),
        heartbeat=HeartbeatSettings(every=4.0),
        session=SessionSettings(plugged_in=uniform(5.0, 15.0), energy=fixed(500.0)),
        reconnect=Backoff(first=1.0, factor=2.0, max=8.0, jitter=0.5),
    )
    return msgspec.structs.replace(plan, thresholds=CHECKS)


def prepare(csms: SeeingCsms) -> None:
    draws = random.Random(1)

    def slow_boot(received: Received) -> Answer:
        return boot("Accepted", 300, delay=draws.uniform(0.01, 0.9))

    def slow_answer(received: Received) -> Answer:
        status = "Blocked" if received.payload["idTag"].startswith("B") else "Accepted"
        return tag_info(status, delay=draws.lognormvariate(math.log(0.1), 1.0))

    csms.answers("BootNotification", slow_boot)
    csms.answers("Authorize", slow_answer)
    csms.connect_delay = 0.0314


async def go_down(csms: SeeingCsms) -> None:
    """Do the last of the faults, which is the CSMS's."""
    await trio.sleep(DOWN_AT)
    csms.refuse = lambda identity: "http_503"
    await csms.ends_everything()
    await trio.sleep(3.0)
    csms.refuse = lambda identity: None


@pytest.fixture(scope="module", params=[(1, None), (3, None), (2, 38.25)], ids=["one", "three", "ended early"])
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    workers, end_at = request.param

    async def run() -> Observed:
        folder: Path = tmp_path_factory.mktemp("results")
        return await observe(make_plan(), folder, workers=workers, prepare=prepare, meanwhile=go_down, end_at=end_at)

    return Ended(in_virtual_time(run), workers)


class Ended:
    """A run, with what is to be known of it from outside."""

    def __init__(self, observed: Observed, workers: int) -> None:
        self.observed = observed
        self.summary = observed.summary
        self.workers = workers
        self.end = float(self.summary["duration_s"])
        self.planned = planned_spans()

    @property
    def stages(self) -> list[tuple[str, Span]]:
        """Names and times of the stages, as far as the run went."""
        edges = [0.0]
        for stage in STAGES:
            edges.append(edges[-1] + stage.duration)
        return [
            (stage.name, (min(begin, self.end), min(end, self.end)))
            for stage, (begin, end) in zip(STAGES, pairwise(edges), strict=True)
        ]

    def wanted(self, window: Span) -> float:
        """Return for how many seconds charge points are to be online in *window*."""
        return math.fsum(overlap(span, window) for spans in self.planned.values() for span in spans)

    def online(self, window: Span) -> float:
        """Return for how many seconds the CSMS had charge points online that were to be."""
        return math.fsum(
            overlap((max(span[0], visit.online), min(span[1], visit.ended)), window)
            for visit in self.observed.visits
            for span in self.planned[visit.identity]
        )

    def share(self, *windows: Span) -> float:
        return math.fsum(map(self.online, windows)) / math.fsum(map(self.wanted, windows))


def overlap(span: Span, window: Span) -> float:
    return max(0.0, min(span[1], window[1]) - max(span[0], window[0]))


def planned_spans() -> dict[str, list[Span]]:
    """Return when each charge point is to be online: n while more than n are, each step of a ramp at its moment."""
    spans: dict[str, list[Span]] = {}
    for fleet, count in COUNTS.items():
        steps, begin, last = [(0.0, 0)], 0.0, 0
        for stage in STAGES:
            value = stage.online.get(fleet, last)
            moves = 1 if stage.jump else abs(value - last)
            for move in range(moves):
                moved = value if stage.jump else last + (move + 1) * (1 if value > last else -1)
                steps.append((begin + stage.duration * move / moves, moved))
            begin, last = begin + stage.duration, value
        steps.append((begin, 0))
        for n in range(count):
            mine = spans.setdefault(f"{fleet}-{n + 1}", [])
            for (since, value), (until, _) in pairwise(steps):
                if value > n and until > since:
                    mine.append((since, until))
    return spans


def counted(at: Sequence[float], window: Span) -> int:
    return sum(window[0] <= each < window[1] for each in at)


def test_the_seconds_online_of_each_stage_are_those_of_the_servers_visits(ended: Ended) -> None:
    for name, span in ended.stages:
        told = ended.summary["stages"][name]["online"]
        assert told["planned_seconds"] == pytest.approx(ended.wanted(span), abs=2e-3), name
        assert told["seconds"] == pytest.approx(ended.online(span), abs=0.02), name


def test_what_is_online_in_the_run_and_in_a_stage_is_the_share_of_what_was_planned(ended: Ended) -> None:
    whole, last, *_ = ended.summary["thresholds"]

    assert whole["actual"] == pytest.approx(
        ended.share(*((begin, min(end, ended.end)) for begin, end in MEASURED)), abs=1e-3
    )
    if ended.end == DURATION:
        assert last["actual"] == pytest.approx(ended.share((43.0, 60.0)), abs=1e-3)
    else:
        assert last["actual"] is None
        assert not last["ok"]


def test_the_worst_window_is_the_worst_of_all_that_lie_in_what_is_measured(ended: Ended) -> None:
    for over, told in zip(WINDOWS, ended.summary["thresholds"][3:], strict=True):
        shares = [
            ended.share((begin + second, begin + second + over))
            for begin, end in MEASURED
            for second in range(int(min(end, ended.end) - begin - over) + 1)
        ]
        assert told["over_s"] == over
        # Snapshots are cut where they lie across the border of a second.
        assert told["actual"] == pytest.approx(min(shares), abs=2 * SKEW * ended.workers / over + 1e-6)
        begin, end = told["worst_window_s"]
        assert ended.share((begin, end)) == pytest.approx(min(shares), abs=2 * SKEW * ended.workers / over + 1e-6)


def test_the_seconds_of_connections_are_those_that_the_server_saw(ended: Ended) -> None:
    run, rows = ended.observed, ended.observed.rows("connections.csv")
    booted = [at for at, action, _ in run.answers if action == "BootNotification"]
    moments = {
        "attempted": run.connects,
        "opened": [visit.opened for visit in run.visits],
        "boots_answered": booted,
    }
    assert len({row["begin_s"] for row in rows}) == len(rows)
    for name, at in moments.items():
        assert sum(int(row[name]) for row in rows) == len(at), name
    late = SKEW * ended.workers
    for row in rows:
        begin = float(row["begin_s"])
        for name, at in moments.items():
            # What happens within the first moments of a second may be told with the one before.
            least, most = counted(at, (begin + late, begin + 1)), counted(at, (begin, begin + 1 + late))
            assert least <= int(row[name]) <= most, (row, name)
        if begin + 1 < ended.end:
            states = [
                sum(visit.online <= moment < visit.ended for visit in run.visits)
                for moment in (begin + 1 - 1e-6, begin + 1 + 1e-6, begin + 1 + late)
            ]
            assert min(states) <= int(row["online"]) <= max(states), row


def test_rows_and_stages_add_up_to_the_whole_and_the_whole_is_what_the_server_counted(ended: Ended) -> None:
    run, summary = ended.observed, ended.summary
    assert summary["books"] == []
    columns = ("planned", "sent", "accepted", "rejected", "open_at_end", "waiting_at_end", "skipped_offline")
    windows: Counter[tuple[str, str]] = Counter()
    for row in run.rows("windows.csv"):
        windows.update({(row["action"], column): int(row[column]) for column in columns})
    received = Counter(action for _, action in run.calls)
    answered = Counter(action for _, action, _ in run.answers)
    for action, of in summary["actions"].items():
        in_stages = [each["actions"].get(action, {}) for each in summary["stages"].values()]
        for column in columns:
            assert windows[action, column] == of[column] == sum(each.get(column, 0) for each in in_stages)
        lost = of["errors"]["connection_lost"]  # these may have been lost on either way
        assert received[action] <= of["sent"] <= received[action] + lost
        assert of["answered"] <= answered[action] <= of["answered"] + lost
    boots = sorted(took for _, action, took in run.answers if action == "BootNotification")
    told = summary["actions"]["BootNotification"]["service_s"]
    assert told["max"] == pytest.approx(boots[-1], abs=1e-3)
    assert told["p50"] == pytest.approx(boots[math.ceil(len(boots) / 2) - 1], rel=2e-3)
    assert told["mean"] == pytest.approx(math.fsum(boots) / len(boots), abs=1e-3)


def test_recoveries_are_those_that_the_server_saw(ended: Ended) -> None:
    at = FAULTS[0].at
    assert at is not None
    took = sorted(
        min(back.online for back in ended.observed.visits if back.identity == visit.identity and back.opened > at)
        - at
        for visit in ended.observed.visits
        if abs(visit.ended - at) < 1e-3
    )
    told = ended.summary["faults"]["reset"]
    # Of the 9 and 5 that are planned half are chosen; one of those another fault has offline just then.
    assert len(took) == told["hit"] == told["back"] == 4 + 2 - 1
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p100", 1.0)):
        assert told["recovery_s"][name] == pytest.approx(took[math.ceil(share * len(took)) - 1], abs=0.006)
    assert ended.summary["thresholds"][2]["actual"] == told["recovery_s"]["p100"]
    for fault, numbers in ended.summary["faults"].items():
        rows = [row for row in ended.observed.rows("faults.csv") if row["fault"] == fault]
        if numbers["hit"]:
            last = rows[-1]
            assert [int(last[each]) for each in ("hit", "offline", "gone", "back")] == [
                numbers[each] for each in ("hit", "offline", "gone", "back")
            ]
            slowest = numbers["recovery_s"]["p100"]
            assert slowest is None or int(last["second"]) == math.ceil(slowest)
        else:
            assert rows == []


def test_sessions_are_held_against_the_integral_of_their_rate(ended: Ended) -> None:
    def rate(at: float) -> float:
        """Sessions a second of fleet a: a ramp to 0.4, then 1.0 at once."""
        return 0.4 * at / 11 if at < 11 else 0.4 if at < 33 else 1.0

    step = 1e-3
    for name, (begin, end) in ended.stages:
        integral = math.fsum(rate(begin + (k + 0.5) * step) * step for k in range(round((end - begin) / step)))
        assert ended.summary["stages"][name]["sessions"]["planned"] == pytest.approx(integral, abs=2e-3), name
    even = ended.summary["stages"]["jump"]["sessions"]
    assert abs(even["due"] - even["planned"]) <= 1


def test_a_checkpoint_says_what_the_server_had_seen_by_then(ended: Ended) -> None:
    run = ended.observed
    for at, summary in run.so_far[1:]:
        if at > ended.end:
            continue
        since = at - TICK if ended.workers > 1 else at  # of the others the last half second may not have come
        tried = summary["connections"]["attempted"]
        assert counted(run.connects, (0.0, since - 1e-9)) <= tried <= counted(run.connects, (0.0, at + 1e-9)), at
        sent = sum(of["sent"] for of in summary["actions"].values())
        assert sent >= sum(when <= since - SLOWEST for when, _ in run.calls)
        assert sum(when <= at for when, _ in run.calls) >= sent - SLOW_AT_ONCE
        online = sum(each["online"]["seconds"] for each in summary["stages"].values())
        assert ended.online((0.0, since)) - 0.03 <= online <= ended.online((0.0, at)) + 0.03
    assert run.so_far[-1][1] == ended.summary
