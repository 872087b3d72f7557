"""The final report: made from the summary alone, and claiming no more than that says."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from loadsim.metrics.snapshot import Example
from loadsim.output.final_report import render_report
from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from tests.output.builders import calls, healthy, paper, plan, progress, stage, take

FOLDER = "results/20261122-0915-smoke"


def good_run(*, checks: tuple[str, ...] = ("all p95 < 500ms", "Authorize rejected < 5%")) -> Progress:
    run = progress(plan(checks=checks), elapsed=60.0)
    take(
        run,
        calls("Authorize", [n / 1000 for n in range(1, 201)], accepted=196, rejected=4, tag_class="drivers"),
        calls("Heartbeat", [0.01] * 400),
        counters={
            "boots.accepted": 500,
            "connections.attempted": 500,
            "connections.opened": 500,
            "connections.closed": 500,
        },
        gauges={"online": 500, "online_end": 500, "started": 500},
        health=healthy(),
    )
    run.ended_at = 60.0
    return run


def report(
    run: Progress | dict[str, Any], *, width: int = 80, examples: Sequence[Example] = (), seconds: float = 60.0
) -> str:
    summary = build_summary(run, duration=seconds) if isinstance(run, Progress) else run
    console, file = paper(width)
    render_report(summary, examples=examples, paths={"results": FOLDER}, console=console)
    return file.getvalue()


def coloured(run: Progress) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=True, color_system="standard", legacy_windows=False, _environ={}
    )
    render_report(build_summary(run, duration=60.0), console=console)
    return file.getvalue()


def section(text: str, title: str) -> list[str]:
    part = next(part for part in text.split("\n\n") if part.startswith(title))
    return part.splitlines()


def row(text: str, title: str, begin: str) -> list[str]:
    return next(line for line in section(text, title) if line.strip().startswith(begin)).split()


def test_a_good_run_passed_and_its_thresholds_show_what_was_measured() -> None:
    text = report(good_run())

    assert text.startswith("PASSED  smoke  1m00s\n")
    assert "thresholds  all 2 passed" in text
    assert row(text, "thresholds", "all p95") == ["all", "p95", "<", "500ms", "170ms", "ok"]
    assert row(text, "thresholds", "Authorize") == ["Authorize", "rejected", "<", "5%", "2.00%", "ok"]
    assert "INCOMPLETE" not in text


def test_the_sentence_of_what_was_carried_says_what_the_numbers_say() -> None:
    text = " ".join(" ".join(section(report(good_run()), "carried")).split())

    assert "500 of 500 charge points booted. 500 online at most, 500 at the end." in text
    assert "600 calls in 1m00s, 10.0/s on average" in text
    assert "Authorize p99 198ms (response)." in text


def test_each_action_has_its_counts_and_times() -> None:
    text = report(good_run())

    assert row(text, "calls", "Authorize") == ["Authorize", "200", "200", "196", "4", "2.00%", "0"]
    assert row(text, "calls", "Heartbeat") == ["Heartbeat", "400", "400", "400", "-", "-", "0"]
    times = ["Authorize", "100ms", "180ms", "190ms", "198ms", "200ms", "200ms", "198ms"]
    assert row(text, "response times", "Authorize") == times
    assert row(text, "id tags", "Authorize[drivers]")[1:] == ["200", "4", "2.00%", "0"]


def test_unexpected_answers_are_shown_where_there_are_any() -> None:
    run = good_run()
    take(run, calls("Authorize", [0.1], unexpected=1, tag_class="stolen"))

    assert row(report(run), "calls", "Authorize")[-1] == "1"
    assert row(report(run), "id tags", "Authorize[stolen]")[-1] == "1"


def test_calls_whose_tag_the_csms_chose_are_a_row_of_their_own_so_that_an_action_adds_up() -> None:
    run = good_run()
    take(
        run,
        calls("Authorize", [0.1] * 8, accepted=5, rejected=1, timeout=2, service=[0.1] * 6),
        calls("StartTransaction", [0.1] * 3, tag_class="drivers"),
    )
    text = report(run)
    rows = [line.split("  ")[1] for line in section(text, "id tags")[2:]]

    assert rows == ["Authorize[drivers]", "Authorize, of no class", "StartTransaction[drivers]"]
    assert row(text, "id tags", "Authorize, of")[-4:] == ["6", "1", "16.67%", "0"]


def test_a_summary_read_back_from_its_file_gives_the_same_report() -> None:
    summary = build_summary(good_run(), duration=60.0)

    assert report(json.loads(json.dumps(summary))) == report(summary)


@pytest.mark.parametrize("width", [80, 120])
def test_the_report_fits_its_width(width: int) -> None:
    run = good_run(checks=("Authorize[drivers] p99 < 800ms during main",))
    run.lost_workers[0] = "why " * 60
    take(run, calls("DiagnosticsStatusNotification", [1.0], sent=123_456_789, accepted=123_456_788, timeout=1))
    run.final_shards.clear()

    text = report(run, width=width, examples=[broken("DiagnosticsStatusNotification", "timeout")])

    assert max(map(len, text.splitlines())) <= width


def broken(what: str, cause: str) -> Example:
    return Example(
        at=12.3,
        charge_point="demo-[red]\x1b[31m",
        what=what,
        cause=cause,
        detail="first\nsecond\x07",
        frame='[4,"1","InternalError","[bold]' + "long " * 200 + '",{}]',
    )


def test_a_failed_threshold_fails_the_run_and_shows_its_own_unit() -> None:
    checks = ("Authorize p99 < 150ms", "Authorize rate > 1500/h", "all errors == 0", "Reset p95 < 1s")
    text = report(good_run(checks=checks))

    assert text.startswith("FAILED  smoke")
    assert "thresholds  2 of 4 failed" in text
    assert row(text, "thresholds", "Authorize p99")[-2:] == ["198ms", "FAILED"]
    assert row(text, "thresholds", "Authorize rate")[-2:] == ["12,000/h", "ok"]
    assert row(text, "thresholds", "all errors")[-2:] == ["0", "ok"]
    assert row(text, "thresholds", "Reset p95")[-3:] == ["no", "samples", "FAILED"]


def test_a_run_without_thresholds_says_that_nothing_could_fail() -> None:
    assert "none, so nothing could fail" in report(good_run(checks=()))


def test_an_invalid_run_says_that_its_figures_show_the_generator() -> None:
    run = good_run()
    take(run, lateness=[0.5] * 100)
    text = report(run)

    assert text.startswith("INVALID  smoke")
    assert "these figures show loadsim, not the CSMS" in text
    assert "- p99 lateness 500.0 ms, more than 20.0 ms" in text


def test_an_interrupted_run_is_incomplete() -> None:
    run = good_run()
    run.interrupted_by = "SIGINT"
    text = report(run)

    assert text.startswith("PASSED INCOMPLETE  smoke")
    assert "Interrupted by SIGINT" in text


def test_a_lost_worker_makes_the_run_incomplete_and_its_books_open() -> None:
    run = good_run()
    run.lost_workers[1] = "exit code -9"
    text = report(run)

    assert text.startswith("PASSED INCOMPLETE")
    assert "Lost worker 1: exit code -9" in text
    assert "THE BOOKS DO NOT CLOSE" in text


def test_a_run_that_was_given_up_says_so() -> None:
    run = progress(plan())
    run.aborted_because = "connection refused"
    text = report(run, seconds=0.0)

    assert text.startswith("FAILED INCOMPLETE")
    assert "connection refused" in text
    assert "No calls were sent." in text


def test_charge_points_that_did_not_boot_are_loud() -> None:
    run = progress(plan())
    take(run, counters={"boots.accepted": 480}, gauges={"started": 490, "online": 480, "online_end": 480})

    assert "ONLY 480 of 500 charge points booted; 10 were never started." in report(run)


def test_a_csms_that_is_gone_at_the_end_is_loud_right_under_the_verdict() -> None:
    run = good_run()
    take(run, gauges={"online_end": 0, "started": 500})
    text = report(run)

    assert text.splitlines()[1] == "  ONLY 0 of 500 were online at the end."
    assert build_summary(run, duration=60.0)["charge_points"]["planned_end"] == 500
    assert "\x1b[1;31m  ONLY 0 of 500" in coloured(run)
    assert "\x1b[1;33mPASSED" in coloured(run)


def test_a_run_that_goes_on_is_reported_as_it_stands_and_not_as_if_it_had_ended() -> None:
    run = good_run(checks=("all p95 < 500ms", "all p99 < 5ms", "StartTransaction p95 < 2s"))
    take(run, gauges={"online_end": 480, "started": 500})
    summary = build_summary(run, duration=60.0) | {"complete": False, "goes_on": True, "troubles": ["figures up to"]}
    lines = report(summary).splitlines()

    assert lines[0] == "FAILED SO FAR  smoke  1m00s"
    assert lines[2] == "  ONLY 480 of 500 are online now."
    assert "thresholds  1 of 3 failing, 1 ok, 1 without a value so far" in lines
    assert [line.split()[-1] for line in lines if "p9" in line][:3] == ["ok", "FAILED", "waiting"]
    assert any("500 online at most, 480 now." in line for line in lines)


def test_who_is_online_at_the_end_is_held_against_the_plan_of_that_moment() -> None:
    stages = (stage("day", 30.0, 500), stage("night", 30.0, 200))
    run = progress(plan(stages=stages), elapsed=60.0)
    take(run, counters={"boots.accepted": 500}, gauges={"started": 500, "online_end": 200})

    assert "ONLY" not in report(run)
    assert "ONLY 200 of 500 were online at the end." in report(run, seconds=20.0)


@pytest.mark.parametrize("change", [{"lost_workers": {0: "killed"}}, {"aborted_because": "no CSMS"}])
def test_who_was_online_at_the_end_is_not_told_where_it_is_not_known(change: dict[str, object]) -> None:
    run = good_run()
    take(run, gauges={"online_end": 0, "started": 500})
    for name, value in change.items():
        setattr(run, name, value)

    assert "were online at the end." not in report(run)


def test_transactions_of_which_the_csms_never_heard_the_end_are_loud_right_under_the_verdict() -> None:
    run = good_run()
    ends = {"begun": 1200, "stopped": 1160, "lost": 3, "undelivered": 37}
    take(run, counters={f"transactions.{end}": count for end, count in ends.items()}, gauges={"online_end": 500})

    assert report(run).splitlines()[1:3] == [
        "  3 of 1,200 transactions LOST: the start or the stop given up after all tries.",
        "  37 of 1,200 transactions UNDELIVERED: over, the stop not confirmed at the end.",
    ]
    assert "\x1b[1;31m  37 of 1,200 transactions UNDELIVERED" in coloured(run)


def test_a_summary_without_the_plan_of_the_end_is_still_a_report() -> None:
    summary = build_summary(good_run(), duration=60.0)
    del summary["charge_points"]["planned_end"]

    assert report(summary) == report(good_run())


def test_an_empty_run_invents_no_numbers() -> None:
    text = report(progress(plan(checks=("all p95 < 1s",))), seconds=5.0)

    assert row(text, "thresholds", "all p95")[-3:] == ["no", "samples", "FAILED"]
    assert "ONLY 0 of 500 charge points booted; 500 were never started." in text
    assert "p99 -   max -" in text
    assert "CPU not measured" in text
    assert "response times" not in text


def test_each_kind_of_failure_is_counted_with_one_example_cut_to_the_width() -> None:
    run = good_run()
    take(
        run,
        calls("Authorize", [1.0] * 7, accepted=0, timeout=2, callerror=5, service=[]),
        counters={
            "connections.attempted": 4,
            "connections.opened": 1,
            "connections.refused.http_401": 3,
            "connections.lost.1006": 1,
            "strays.late": 2,
        },
    )
    examples = [broken("Authorize", "callerror"), broken("Authorize", "callerror")]
    lines = section(report(run, examples=examples), "errors")

    assert [line.split()[:3] for line in lines[1:] if line[:11].strip()] == [
        ["5", "Authorize", "callerror"],
        ["3", "connect", "refused:"],
        ["2", "Authorize", "timeout"],
        ["2", "stray", "message:"],
        ["1", "connection", "lost:"],
    ]
    assert lines[2].strip() == "00:12 demo-[red]\\x1b[31m: first\\nsecond\\x07"
    assert lines[3].strip().startswith('[4,"1","InternalError","[bold]long')
    assert lines[3].endswith("…")


def test_calls_that_did_not_come_to_an_end_are_named() -> None:
    run = good_run()
    take(
        run,
        calls("Heartbeat", [30.0, 9.0], planned=6, sent=1, accepted=0, open_at_end=1, waiting_at_end=1, service=[]),
    )

    assert "Heartbeat: 1 open at the end, 1 due, not sent before the stop" in report(run)
    assert "THE BOOKS DO NOT CLOSE" in report(run)


def test_several_stages_are_shown_apart() -> None:
    stages = (stage("warm", 30.0, 500, measure=False), stage("peak", 30.0, 500))
    run = progress(plan(stages=stages), elapsed=60.0)
    take(run, calls("Authorize", [0.01] * 10), calls("Authorize", [0.1] * 10, stage=1, accepted=9, timeout=1))
    text = report(run, width=120)

    warm, peak = row(text, "by stage", "warm"), row(text, "by stage", "peak")
    assert " ".join(warm) == "warm 30.0s not measured Authorize 10 10ms 10ms 10ms 10ms 0 0.00%"
    assert " ".join(peak) == "peak 30.0s Authorize 10 100ms 100ms 100ms 100ms 1 0.00%"


def test_one_stage_is_not_shown_twice() -> None:
    assert "by stage" not in report(good_run())


def test_commands_of_the_csms_are_counted() -> None:
    run = good_run()
    take(
        run,
        counters={"commands.Reset.received": 3, "commands.Reset.refused": 1, "commands.GetLog.received": 2},
        times={"commands.Reset": [0.001, 0.004, 0.3]},
    )
    text = report(run)

    assert row(text, "commands", "Reset") == ["Reset", "3", "1", "0", "4ms", "300ms", "300ms", "300ms"]
    assert row(text, "commands", "GetLog") == ["GetLog", "2", "0", "0", "-", "-", "-", "-"]


def test_the_longest_common_command_is_not_cut_at_80_columns() -> None:
    run = good_run()
    counted = {f"commands.RemoteStartTransaction.{what}": 12_345 for what in ("received", "refused", "ignored")}
    take(run, counters=counted, times={"commands.RemoteStartTransaction": [0.0004, 0.012, 1.5]})

    assert row(report(run), "commands", "RemoteStartTransaction")[-1] == "1.5s"


def test_the_generator_shows_what_a_charge_point_costs() -> None:
    lines = section(report(good_run()), "generator")

    assert "1 worker, the busiest at 11% of a core" in lines[1]
    assert "210 MB at most, 260 kB a charge point" in lines[3]


def test_the_last_line_is_the_next_command_to_type() -> None:
    console, file = paper(80)
    summary = build_summary(good_run(), duration=60.0)
    render_report(summary, paths={"results": FOLDER}, next_command="loadsim run smoke", console=console)

    assert file.getvalue().splitlines()[-1].split() == ["again", "loadsim", "run", "smoke"]


def test_a_path_is_never_broken() -> None:
    folder = "a folder/" + "x" * 100
    console, file = paper(80)
    render_report(build_summary(good_run(), duration=60.0), paths={"results": folder}, console=console)

    assert folder in file.getvalue()


def test_names_from_outside_are_neither_markup_nor_control_sequences() -> None:
    run = progress(plan(name="[red]x\x1b[2J\ud800"), elapsed=60.0)
    take(run, calls("Authorize", [0.1], tag_class="[bold]\x07"), counters={"commands.[blink]\x1b.received": 1})
    text = report(run)

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]x\\x1b[2J\\ud800" in text
    assert "Authorize[[bold]\\x07]" in text


def test_a_stdout_that_is_not_utf8_gets_what_it_can_show() -> None:
    written = io.BytesIO()
    file = io.TextIOWrapper(written, encoding="ascii")
    console = Console(file=file, width=80, _environ={})
    run = good_run()
    run.plan = plan(name="Straße")
    render_report(build_summary(run, duration=60.0), console=console)
    file.flush()

    assert written.getvalue().startswith(b"PASSED  Stra?e")


def test_verdicts_have_their_colours() -> None:
    assert coloured(good_run()).startswith("\x1b[1;32mPASSED\x1b[0m")
