"""The report of charging: every outcome in plain words, loud where load was not carried, silent without sessions."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from loadsim.output.final_report import render_report
from loadsim.output.layout import energy
from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from tests.output.builders import calls, paper, plan, progress, stage, take

COUNTERS = {
    "sessions.due": 2861,
    "sessions.from_csms": 12,
    "sessions.started": 2840,
    "sessions.no_free_connector": 19,
    "sessions.refused": 7,
    "sessions.no_remote_start": 5,
    "sessions.preparing": 2,
    "transactions.begun": 2840,
    "transactions.ended": 1210,
    "transactions.stopped": 1203,
    "transactions.open": 1630,
    "transactions.undelivered": 5,
    "transactions.lost": 2,
    "energy.delivered": 12_345_600,
    "energy.stopped": 12_300_000,
}


def evening(counters: dict[str, int] | None = None, **other: Any) -> Progress:
    run = progress(plan(session=True, stages=(stage("peak", 60.0, 500, sessions=2875 / 60),)), elapsed=60.0)
    take(run, calls("Authorize", [0.1]), counters=COUNTERS if counters is None else counters, **other)
    return run


def report(run: Progress, csms: dict[str, Any] | None = None, *, width: int = 80) -> str:
    console, file = paper(width)
    render_report(build_summary(run, duration=60.0, csms=csms), console=console)
    return file.getvalue()


def section(text: str, title: str) -> list[str]:
    return next(part for part in text.split("\n\n") if part.splitlines()[0] == title).splitlines()


def test_sessions_say_who_came_and_what_became_of_each() -> None:
    assert section(report(evening(times={"remote_start": [0.1] * 99 + [0.4]})), "sessions") == [
        "sessions",
        "  came           2,861 drivers, 2,875 planned; 12 more by the CSMS itself",
        "  started        2,840 came to a transaction",
        "  no connector   NOT CARRIED: 19 drivers found every connector taken",
        "  not started    7 refused by the CSMS, 5 plugged in without a remote start, 2",
        "                 on their way at the end",
        "  remote start   p50 100ms   p95 100ms   p99 100ms   max 400ms   100 in all",
    ]


def test_transactions_say_what_became_of_each_and_what_cannot_be_known() -> None:
    run = evening(times={"outbox_wait": [61.0, 62.0]})
    take(run, counters={"outbox.given_up.StartTransaction": 2, "outbox.overflowed": 40})

    assert section(report(run), "transactions") == [
        "transactions",
        "  count          2,840 begun, 1,203 stopped, 1,630 open at the end, 5 over, the",
        "                 stop not confirmed",
        "  gone wrong     lost 2, doubled 0, orphaned -",
        "  energy         12,345.6 kWh delivered by the transactions that ended, 12,300.0",
        "                 kWh of it in confirmed stops",
        "  offline        p50 1m01s   p95 1m02s   p99 1m02s   max 1m02s   2 messages",
        "  given up       2 StartTransaction after all tries",
        "  dropped        40 meter values, for want of room while offline",
    ]


def test_with_the_embedded_csms_orphans_are_counted() -> None:
    text = report(evening(), {"transactions": {"open_ids": [1, 2, 3], "doubled": 1}})

    assert "lost 2, doubled 1, orphaned 3" in text


@pytest.mark.parametrize(
    ("counters", "loud"),
    [
        ({"sessions.due": 1, "sessions.no_free_connector": 1}, "NOT CARRIED: 1 driver found"),
        ({"transactions.begun": 1, "transactions.lost": 1}, "lost 1"),
        ({"transactions.begun": 1, "transactions.doubled": 1}, "doubled 1"),
        ({"transactions.begun": 1, "outbox.given_up.StopTransaction": 1}, "1 StopTransaction after"),
    ],
)
def test_what_was_not_carried_is_loud(counters: dict[str, int], loud: str) -> None:
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=True, color_system="standard", legacy_windows=False, _environ={}
    )
    render_report(build_summary(evening(counters), duration=60.0), console=console)

    assert f"\x1b[1;31m{loud}" in file.getvalue()


def test_a_run_in_which_all_went_well_is_not_loud() -> None:
    well = {"sessions.due": 3, "sessions.started": 3, "transactions.begun": 3, "transactions.stopped": 3}
    text = report(evening(well), {"transactions": {"open_ids": [], "doubled": 0}})

    assert "lost 0, doubled 0, orphaned 0" in text
    assert "NOT CARRIED" not in text
    assert "not started" not in text


def test_without_sessions_and_commands_nothing_is_said_of_them() -> None:
    run = progress(plan())
    take(run, calls("Authorize", [0.1]))
    text = report(run)

    assert [title for title in ("sessions", "transactions", "commands", "hardware") if f"\n{title}" in text] == []


def test_planned_sessions_of_which_none_came_are_told() -> None:
    assert "0 drivers, 2,875 planned" in report(evening({}))


def test_what_broke_and_rebooted_is_counted_by_kind() -> None:
    run = progress(plan())
    counted = {
        "reboots.HardReset": 3,
        "reboots.PowerLoss": 1,
        "hardware.faults": 12,
        "hardware.power_losses": 1,
        "transfers.ok": 9,
        "transfers.failed": 1,
    }
    take(run, counters=counted)

    assert section(report(run), "hardware") == [
        "hardware",
        "  reboots        3 HardReset, 1 PowerLoss",
        "  broken         12 faults, 1 power loss",
        "  transfers      9 done, 1 failed",
    ]


def test_one_of_a_kind_is_not_told_as_several() -> None:
    run = evening({"sessions.due": 1, "sessions.started": 1, "transactions.begun": 1, "outbox.overflowed": 1})
    take(run, counters={"hardware.faults": 1, "hardware.ev_disconnects": 1}, times={"outbox_wait": [61.0]})
    text = report(run)

    assert "1 driver, 2,875 planned" in text
    assert "max 1m01s   1 message\n" in text
    assert "1 meter value, for want" in text
    assert "  broken         1 fault, 1 cable pulled\n" in text


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_its_width(width: int) -> None:
    large = {name: count * 1_000_000 for name, count in COUNTERS.items()}
    run = evening(large, times={"remote_start": [1e3], "outbox_wait": [1e5]})
    take(run, counters={f"outbox.given_up.{name}": 10**9 for name in ("MeterValues", "StartTransaction")})

    assert max(map(len, report(run, width=width).splitlines())) <= width


@pytest.mark.parametrize(
    ("watt_hours", "shown"), [(0, "0 Wh"), (870, "870 Wh"), (1000, "1.0 kWh"), (12_345_678, "12,345.7 kWh")]
)
def test_energy_is_in_kilowatt_hours_unless_that_hides_it(watt_hours: int, shown: str) -> None:
    assert energy(watt_hours) == shown


def test_a_summary_of_an_earlier_version_is_still_a_report() -> None:
    summary = build_summary(progress(plan()), duration=60.0)
    for key in ("sessions", "energy_wh", "outbox", "reboots", "hardware", "transfers"):
        del summary[key]
    console, file = paper()
    render_report(summary | {"transactions": {}, "commands": {"Reset": {"received": 1, "refused": 0, "ignored": 0}}},
                  console=console)  # fmt: skip

    assert "  Reset" in file.getvalue()
