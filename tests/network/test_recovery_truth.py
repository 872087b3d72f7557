"""Recovery as a run tells it, beside the record of the other side: the truth server's, or the embedded CSMS's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.network.running import books_balance, run
from tests.network.truths import at_rank, beginning, came_back, first_end, visits_of
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

COUNT = 40
SHARES = {"p50": 0.5, "p95": 0.95, "p100": 1.0}
AGREED = 0.1  # seconds


def dropped(seed: int, fault: str, *, boots: bool = False) -> str:
    return f"""
version: 1
name: dropped
seed: {seed}
csms: {{url: "${{CSMS_URL}}"}}
fleets:
  demo:
    count: {COUNT}
    boot_on_reconnect: {str(boots).lower()}
    reconnect: {{first: 500ms, factor: 2, max: 5s, jitter: 50%}}
stages: [{{name: all, for: 5s, online: 100%, jump: true}}]
faults:
  - {fault}
"""


@pytest.mark.parametrize(
    ("seed", "fault", "hit", "boots"),
    [
        (1, "{name: it, at: 2s, share: 40%, do: drop}", 16, False),
        (2, "{name: it, at: 2s, share: 75%, do: drop, how: close}", 30, True),
        (3, "{name: it, at: 1500ms, do: drop, for: 1s}", 40, False),
    ],
)
@pytest.mark.timed
def test_recovery_times_are_those_of_the_servers_record_of_the_reconnects(
    tmp_path: Path, seed: int, fault: str, hit: int, boots: bool
) -> None:
    with start("truth_server", "--visits") as peer:
        ended = run(dropped(seed, fault, boots=boots), tmp_path, url=peer.url)
        record = peer.finish()

    summary = ended.check()
    told = summary["faults"]["it"]
    visits = visits_of(record)
    moment = first_end(visits)
    back = came_back(visits, moment, booted=boots)
    assert len(visits) == COUNT
    assert [len(of) for of in visits.values()].count(2) == len(back) == hit
    assert [told[what] for what in ("hit", "offline", "back", "gone", "missing")] == [hit, hit, hit, 0, 0]
    # The moment itself is that of the plan.
    assert moment - beginning(record) == pytest.approx(told["moment_s"], abs=AGREED)
    took = sorted(back.values())
    for name, share in SHARES.items():
        assert told["recovery_s"][name] == pytest.approx(at_rank(took, share), abs=AGREED), name
    assert took[-1] - took[0] > 0.1  # the jitter spreads them
    assert summary["connections"]["retried"] == hit
    assert record["violations"] == {}


@pytest.mark.parametrize(
    "fault",
    ["{name: it, at: 2s, share: 35%, do: drop}", "{name: it, rate: 720/h, share: 80%, do: drop}"],
)
@pytest.mark.timed
def test_four_workers_drop_the_same_charge_points_at_the_same_moments_as_one(tmp_path: Path, fault: str) -> None:
    with start("truth_server", "--visits") as one, start("truth_server", "--visits") as four:
        with ThreadPoolExecutor() as pool:
            runs = pool.map(
                lambda each: run(dropped(4, fault), tmp_path, "-q", "--workers", each[0], url=each[1].url),
                (("1", one), ("4", four)),
            )
            summaries = [ended.check() for ended in runs]
        records = [one.finish(), four.finish()]

    ends = [first_ends(record) for record in records]
    assert ends[0].keys() == ends[1].keys()
    assert len(ends[0]) >= 10
    for identity, moment in ends[0].items():
        assert moment == pytest.approx(ends[1][identity], abs=2 * AGREED)
    assert [summary["generator"]["workers"] for summary in summaries] == [1, 4]
    if "at:" in fault:  # by its rate, a charge point can be hit again while it is away: that is none
        told = [summary["faults"]["it"] for summary in summaries]
        assert [each["hit"] for each in told] == [14, 14]
        # Jitter is of the charge point, too.
        for name in SHARES:
            assert told[0]["recovery_s"][name] == pytest.approx(told[1]["recovery_s"][name], abs=2 * AGREED)


def first_ends(record: Any) -> dict[str, float]:
    """Return when the first connection of each charge point that came twice ended, in seconds of the run."""
    zero = beginning(record)
    return {identity: of[0]["ended"] - zero for identity, of in visits_of(record).items() if len(of) > 1}


def embedded(*faults: str, seconds: int = 6, latency: str = "0ms", more: str = "") -> str:
    listed = "\n".join(f"  - {fault}" for fault in faults)
    return f"""
version: 1
name: troubled
seed: 7
csms: {{call_timeout: 30s, embedded: {{latency: {latency}}}}}
fleets:
  demo: {{count: 30, authorize: 3600/h, reconnect: {{first: 300ms, factor: 1, max: 300ms, jitter: 20%}}}}
stages: [{{name: all, for: {seconds}s, online: 100%, jump: true}}]
faults:
{listed}
{more}
"""


def both_sides(summary: Any, name: str) -> tuple[Any, Any]:
    books_balance(summary["actions"])
    return summary["faults"][name], summary["embedded_csms"]["faults"][name]


@pytest.mark.timed
def test_a_restart_of_the_embedded_csms_is_told_alike_by_both_sides(tmp_path: Path) -> None:
    text = embedded(
        "{name: it, at: 2s, do: csms, how: restart, for: 1s}", more="thresholds: ['recovery[it] < 2500ms']"
    )
    summary = run(text, tmp_path).check()
    ours, theirs = both_sides(summary, "it")

    assert ours["hit"] == ours["offline"] == ours["back"] == theirs["connections_reset"] == 30
    assert theirs["begun_s"] == pytest.approx(2.0, abs=AGREED)
    assert theirs["seconds"] == pytest.approx(1.0, abs=AGREED)
    assert 1.0 - AGREED <= ours["recovery_s"]["p50"] <= ours["recovery_s"]["p100"] < 2.5
    assert [each["ok"] for each in summary["thresholds"]] == [True]
    connections, server = summary["connections"], summary["embedded_csms"]["connections"]
    assert connections["opened"] == server["opened"] == 60
    assert connections["lost"] == 30
    # Registrations are kept, as in a database.
    assert summary["actions"]["BootNotification"]["sent"] == 30


@pytest.mark.timed
def test_handshakes_refused_by_the_embedded_csms_are_counted_alike_by_both_sides(tmp_path: Path) -> None:
    text = embedded(
        "{name: full, at: 2s, do: csms, how: refuse, status: 429, for: 2s}", "{name: all, at: 2500ms, do: drop}"
    )
    summary = run(text, tmp_path).check()
    ours, theirs = both_sides(summary, "full")
    drop = summary["faults"]["all"]

    refused = summary["connections"]["refused"]
    assert refused == {"http_429": theirs["handshakes_refused"]}
    assert refused["http_429"] >= 60
    assert ours["hit"] == drop["hit"] == drop["back"] == 30
    assert drop["recovery_s"]["p50"] >= 1.5 - AGREED
    assert theirs["connections_reset"] == 0


@pytest.mark.timed
def test_a_stall_of_the_embedded_csms_holds_calls_up_and_loses_none(tmp_path: Path) -> None:
    summary = run(embedded("{name: it, at: 2s, do: csms, how: stall, for: 2s}"), tmp_path).check()
    ours, theirs = both_sides(summary, "it")

    authorize = summary["actions"]["Authorize"]
    assert authorize["sent"] == authorize["answered"] == authorize["planned"] - authorize["skipped_offline"]
    assert authorize["response_s"]["max"] >= 1.7
    # Each of them had a call open in it, as one call a second from each wants it.
    assert 20 <= theirs["messages_held_up"] <= 35
    assert (ours["hit"], ours["offline"], ours["messages_lost"]) == (30, 0, 0)
    assert summary["connections"]["lost"] == 0


@pytest.mark.timed
def test_a_delay_of_the_embedded_csms_shows_in_the_calls_that_it_held_up(tmp_path: Path) -> None:
    text = embedded("{name: it, at: 2s, do: csms, how: delay, latency: 300ms..400ms, for: 2s}")
    summary = run(text, tmp_path).check()
    _, theirs = both_sides(summary, "it")

    service = summary["actions"]["Authorize"]["service_s"]
    assert 0.3 <= service["max"] < 0.4 + 3 * AGREED
    assert service["p50"] < 0.3
    assert 30 <= theirs["messages_held_up"] < summary["actions"]["Authorize"]["answered"]
