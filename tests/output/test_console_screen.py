"""The live picture: its figures are those that were fed, and it fits whatever screen there is."""

import pytest
from rich.console import Group

from loadsim.output.console import LiveConsole
from loadsim.output.layout import BAD, encodable
from loadsim.output.progress import Progress
from loadsim.output.sparkline import RecentPercentiles, sparkline
from tests.output.builders import calls, healthy, paper, plan, progress, stage, take

ACTIONS = (
    "Authorize",
    "BootNotification",
    "DataTransfer",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
)


def picture(run: Progress, *, width: int = 120, height: int = 40) -> str:
    console, file = paper(width)
    console.print(Group(*LiveConsole(run, console).lines(width=width, height=height)))
    return file.getvalue()


def line(text: str, begin: str) -> str:
    return next(each for each in text.splitlines() if each.startswith(begin))


def busy_run(*, checks: tuple[str, ...] = (), actions: tuple[str, ...] = ACTIONS) -> Progress:
    stages = (stage("rollout", 120.0, 5000), stage("peak", 3600.0, 5000))
    run = progress(plan(name="evening-peak", count=5000, stages=stages, authorize=0.001, checks=checks), workers=2)
    run.happened("CSMS closed 41 connections with 1012")
    deltas = [calls(action, [0.02, 0.04]) for action in actions]
    for second in range(1, 400):
        take(
            run,
            *deltas,
            at=float(second),
            counters={"messages.sent": 52, "messages.received": 51},
            gauges={"online": 4987, "booting": 9, "backing_off": 4},
            health=healthy(),
        )
    return run


def test_the_table_shows_the_percentiles_of_what_was_fed() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("Authorize", [n / 1000 for n in range(1, 201)], accepted=196, rejected=4))

    row = line(picture(run), "Authorize").split()

    assert row[1:8] == ["40.0", "100ms", "190ms", "198ms", "200ms", "0.00%", "2.00%"]


def test_errors_are_a_share_of_what_was_sent() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("MeterValues", [0.02] * 100, accepted=97, timeout=2, callerror=1))

    assert line(picture(run), "MeterValues").split()[6] == "3.00%"


def test_one_error_of_very_many_is_not_shown_as_none() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("MeterValues", [0.02], sent=1_000_000, accepted=999_999, timeout=1))

    assert line(picture(run), "MeterValues").split()[6] == "<0.01%"


def test_an_action_whose_answers_cannot_refuse_has_no_rejection_rate() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("Heartbeat", [0.02]), calls("Authorize", [0.02]))

    text = picture(run)

    assert line(text, "Heartbeat").split()[7] == "-"
    assert line(text, "Authorize").split()[7] == "0.00%"


def test_all_actions_together_make_a_row() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("Heartbeat", [0.01] * 90), calls("Authorize", [0.1] * 10))

    assert line(picture(run), "all").split()[1:5] == ["20.0", "10ms", "100ms", "100ms"]


def test_the_row_of_all_shows_refusals_where_any_action_can_refuse() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("Heartbeat", [0.01] * 90), calls("Authorize", [0.1] * 10))
    assert line(picture(run), "all").split()[7] == "0.00%"

    take(run, calls("Authorize", [0.1] * 100, accepted=98, rejected=2))
    assert line(picture(run), "all").split()[7] == "1.00%"


def test_the_row_of_all_shows_no_refusals_where_no_action_can_refuse() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("Heartbeat", [0.01]), calls("MeterValues", [0.1]))

    assert line(picture(run), "all").split()[7] == "-"


def test_the_row_of_all_counts_the_actions_for_which_there_is_no_row() -> None:
    run = progress(elapsed=10.0)
    for action in ("Heartbeat", "MeterValues", "StatusNotification"):
        take(run, calls(action, [0.1] * 90))
    take(run, calls("Authorize", [0.1] * 30, accepted=27, rejected=3))
    text = picture(run, height=10)

    assert "Authorize" not in text
    assert line(text, "all").split()[7] == "1.00%"


def test_a_run_that_has_seen_nothing_shows_no_numbers_as_if_they_were_zero() -> None:
    text = picture(progress(plan(checks=("all p95 < 500ms",)), elapsed=0.5))

    assert "online 0/500" in text
    assert "1 waiting" in text
    assert "lateness p99 -" in text
    assert "0ms" not in text


def test_an_action_that_has_not_been_answered_yet_has_no_times() -> None:
    run = progress(elapsed=1.0)
    take(run, calls("Authorize", sent=3, planned=3))

    assert line(picture(run), "Authorize").split()[2:8] == ["-", "-", "-", "-", "0.00%", "-"]


def test_charge_points_are_held_against_what_is_planned_by_now() -> None:
    stages = (stage("half", 10.0, 250), stage("full", 10.0, 500))
    run = progress(plan(stages=stages), elapsed=5.0)
    take(run, gauges={"online": 240, "booting": 6, "backing_off": 4})

    text = line(picture(run), "charge points")

    assert "online 240/250" in text
    assert "booting 6   backing off 4" in text
    assert "of 500 in all" in text


def test_the_header_says_stage_time_and_share() -> None:
    text = picture(busy_run()).splitlines()[0]

    assert "loadsim evening-peak   stage 2/2 peak  04:39/60:00" in text
    assert "8%" in text
    assert text.rstrip().endswith("run 0:06:39 / 1:02:00")


def test_the_plan_of_authorize_is_shown_beside_what_is_sent() -> None:
    assert "Authorize 2.0/s of 5.0/s planned   52.0 msg/s out, 51.0 msg/s in" in picture(busy_run())


def test_thresholds_are_counted_and_the_worst_is_named_with_its_value() -> None:
    checks = ("Authorize p95 < 41ms", "all p95 < 500ms", "Reset p95 < 1s", "Heartbeat p99 < 30ms")
    text = line(picture(busy_run(checks=checks)), "thresholds")

    assert "1 ok   1 at risk   1 failing   1 waiting   Heartbeat p99 < 30ms: 40ms" in text


def test_a_value_near_its_limit_gets_the_digits_that_tell_them_apart() -> None:
    run = progress(plan(checks=("all max < 500ms",)), elapsed=5.0)
    take(run, calls("Heartbeat", [0.49996]))

    assert "all max < 500ms: 499.960ms" in picture(run)


def test_a_healthy_generator_is_ok_and_shows_what_it_uses() -> None:
    text = line(picture(busy_run()), "generator")

    assert "OK   core 11%   lateness p99 3ms   RSS 210 MB   fds 5,031/19,900   workers 2" in text


@pytest.mark.parametrize(("late", "cpu"), [(0.050, 0.1), (0.001, 0.95)])
def test_a_late_or_busy_generator_says_so(late: float, cpu: float) -> None:
    run = progress(elapsed=5.0)
    take(run, lateness=[late], health=healthy(cpu=cpu))

    assert "BUSY" in line(picture(run), "generator")


def test_a_lost_worker_is_shown() -> None:
    run = busy_run()
    run.lost_workers[1] = "exit code -9"

    assert "1 of 2 LOST: worker 1: exit code -9" in picture(run)


def test_what_happened_last_comes_first() -> None:
    run = progress(elapsed=5.0)
    run.happened("first")
    run.elapsed = 65.0
    run.happened("second")

    assert line(picture(run), "last events").split() == ["last", "events", "01:05", "second"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"interrupted_by": "SIGINT"}, "ending after SIGINT"),
        ({"ended_at": 60.0}, "ending: open calls are awaited"),
        ({"aborted_because": "no CSMS"}, "given up"),
    ],
)
def test_a_run_that_is_ending_says_so(change: dict[str, object], expected: str) -> None:
    run = progress(elapsed=60.0)
    for name, value in change.items():
        setattr(run, name, value)

    assert expected in picture(run)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_the_picture_fits_the_screen(width: int) -> None:
    run = busy_run(checks=("Authorize p95 < 41ms during peak", "all p95 < 10ms"))
    run.lost_workers[0] = "a very long reason " * 20
    run.happened("x" * 500)
    live = LiveConsole(run, paper(width)[0])

    for height in (3, 8, 12, 24, 60):
        lines = live.lines(width=width, height=height)

        assert len(lines) <= height
        assert max(each.cell_len for each in lines) <= width


def test_a_low_screen_keeps_the_busiest_actions_and_counts_the_others() -> None:
    text = picture(busy_run(), height=14)

    assert "and " in text
    assert line(text, "all")
    assert line(text, "generator")


def test_a_narrow_screen_keeps_p95_p99_and_errors() -> None:
    assert line(picture(busy_run(), width=60), "action").split()[-4:] == ["p95", "p99", "errors", "rejected"]


def test_names_are_text_and_neither_markup_nor_control_sequences() -> None:
    stages = (stage("[red]peak\x1b[2J", 60.0, 500),)
    run = progress(plan(name="[bold]x\x07[/bold]", stages=stages), elapsed=5.0)
    run.happened("lost [red]demo\x1b]0;title\x07\n\u202e")

    text = picture(run)

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[red]peak\\x1b[2J" in text
    assert "[bold]x\\x07[/bold]" in text


def test_a_terminal_without_blocks_gets_ascii() -> None:
    lines = [
        encodable(each, "ascii").plain for each in LiveConsole(busy_run(), paper()[0]).lines(width=120, height=40)
    ]

    assert all(text.isascii() for text in lines)
    assert "##...." in lines[0]


def test_the_sparkline_shows_each_slice_of_its_own() -> None:
    run = progress(plan(stages=(stage("main", 300.0, 500),)))
    recent = RecentPercentiles(300.0)
    for second in range(1, 51):
        take(run, calls("Authorize", [0.4 if 20 < second <= 30 else 0.1] * 5), at=float(second))
        recent.take(run.elapsed, run.actions())

    values = recent.latest("Authorize")

    assert values == pytest.approx([0.1, 0.1, 0.4, 0.1, 0.1], rel=0.002)


def test_slices_without_samples_are_gaps_and_all_rows_end_now() -> None:
    run = progress()
    recent = RecentPercentiles(300.0)
    take(run, calls("Heartbeat", [0.1]), at=10.0)
    recent.take(run.elapsed, run.actions())
    take(run, calls("Authorize", [0.2]), at=20.0)
    recent.take(run.elapsed, run.actions())

    assert recent.latest("Heartbeat") == [pytest.approx(0.1, rel=0.002), None]
    assert recent.latest("Authorize") == [None, pytest.approx(0.2, rel=0.002)]


def test_history_does_not_grow_with_the_run() -> None:
    run = progress()
    recent = RecentPercentiles(36000.0)
    take(run, calls("Heartbeat", [0.1]))
    for second in range(10, 2000, 10):
        recent.take(float(second), run.actions())

    assert len(recent.latest("Heartbeat", 1000)) == recent.slices


def test_a_steady_row_is_half_high_and_what_doubles_stands_out() -> None:
    assert sparkline([0.1, 0.1, None, 0.1, 0.2]) == "▅▅ ▅█"
    assert sparkline([]) == ""
    assert sparkline([0.0]) == "▁"


def evening(*, sessions: float = 0.8) -> Progress:
    """A run of an hour of sessions, of which 3 in 4 come to a transaction."""
    stages = (stage("peak", 3600.0, 5000, sessions=sessions),)
    run = progress(plan(name="evening", count=5000, stages=stages, session=True))
    for second in range(1, 301):
        counters = {"sessions.started": 3 if second % 5 == 0 else 0, "messages.sent": 52, "messages.received": 51}
        take(run, at=float(second), counters=counters, gauges={"online": 4987}, charging=1912)
    return run


def test_charging_and_the_sessions_an_hour_are_shown_beside_their_plan() -> None:
    text = picture(evening())

    assert "online 4,987/5,000   booting 0   backing off 0   charging 1,912" in line(text, "charge points")
    assert "sessions 2,880/h plan, 2,160/h done   52.0 msg/s out, 51.0 msg/s in" in line(text, "load  ")


def test_the_load_still_fits_80_columns() -> None:
    assert line(picture(evening(), width=80), "load  ").endswith("2,160/h done   52.0 msg/s out, 51.0 in")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_drivers_who_found_no_connector_are_loud_and_never_left_out_for_want_of_room(width: int) -> None:
    run = evening()
    for second in range(301, 371):
        counters = {"sessions.started": 1, "sessions.from_csms": 1, "sessions.no_free_connector": 12_345}
        take(run, at=float(second), counters=counters)
    lines = LiveConsole(run, paper(width)[0]).lines(width=width, height=8)
    load = next(each for each in lines if each.plain.startswith("load  "))

    assert load.plain[15:].startswith("no free connector 864,150")
    assert [load.plain[span.start : span.end] for span in load.spans if span.style == BAD] == [
        "no free connector 864,150"
    ]


def test_sessions_that_the_csms_began_are_told_apart_from_the_plan() -> None:
    run = evening(sessions=0.0)
    assert "sessions" not in line(picture(run), "load  ")

    for second in range(301, 371):
        take(run, at=float(second), counters={"sessions.started": 1, "sessions.from_csms": 1}, charging=1)

    assert "sessions 0.0/h plan, 3,600/h done, 3,600/h from the CSMS" in line(picture(run), "load  ")


def test_the_first_seconds_have_no_sessions_an_hour() -> None:
    run = progress(plan(session=True, stages=(stage("peak", 60.0, 500, sessions=1.0),)))
    take(run, at=1.0, counters={"sessions.started": 1})

    assert "sessions -" in line(picture(run), "load  ")


def test_a_run_without_sessions_says_nothing_of_charging() -> None:
    text = picture(busy_run())

    assert "charging" not in text
    assert "sessions" not in text


def test_what_charge_points_say_when_they_end_waits_for_the_end_and_losses_do_not() -> None:
    checks = ("transactions lost == 0", "transactions undelivered == 0", "transactions orphaned == 0")
    run = progress(plan(session=True, checks=checks), elapsed=5.0)
    take(run, counters={"transactions.begun": 9, "transactions.lost": 2})

    assert "1 failing   2 waiting   transactions lost == 0: 2" in line(picture(run), "thresholds")
