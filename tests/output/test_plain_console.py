"""What is said without a terminal: a line now and then, one for whatever happens, and a log of days stays small."""

from __future__ import annotations

import errno
import io

import pytest
from rich.console import Console

from loadsim.output.console import LiveConsole
from loadsim.output.layout import BAD
from loadsim.output.plain_console import PlainConsole, plain_line
from loadsim.scenario.plan import FaultPlan
from loadsim.streams import unless_gone
from tests.output.builders import Terminal, calls, healthy, paper, plan, progress, stage, take

HOUR = 3600.0


@pytest.mark.parametrize(("hours", "every"), [(1.0, 10), (1.001, 60), (48.0, 60)])
def test_a_line_comes_every_ten_seconds_and_in_a_run_of_more_than_an_hour_every_minute(
    hours: float, every: int
) -> None:
    console, file = paper()
    run = progress(plan(stages=(stage("main", hours * HOUR, 500),)))
    plain = PlainConsole(run, console)
    for half in range(1, 601):
        run.elapsed = half / 2
        plain.refresh()

    times = [text.split()[0] for text in file.getvalue().splitlines()]
    assert times == [f"0:{at // 60:02}:{at % 60:02}" for at in range(every, 301, every)]


def test_the_plain_line_says_the_essential_on_one_line() -> None:
    run = progress(plan(checks=("all errors == 0",)), elapsed=10.0, workers=2)
    take(
        run,
        calls("Authorize", [0.04] * 99, accepted=98, timeout=1),
        calls("Heartbeat", [0.5] * 100),
        counters={"messages.sent": 250, "messages.received": 245},
        gauges={"online": 498},
        health=healthy(),
    )
    run.lost_workers[1] = "gone"
    console, file = paper(80)
    with PlainConsole(run, console) as plain:
        plain.refresh()

    assert file.getvalue() == (
        "0:00:10  threshold fails so far: all errors == 0: 1\n"
        "0:00:10  main 1/1  online 498/500  50.0 msg/s out, 49.0 in  Heartbeat p95 500ms p99 500ms  "
        "errors 1 (0.50%)  lateness p99 3ms  RSS 210 MB  1 of 1 thresholds failing  1 of 2 workers LOST\n"
    )


def test_the_plain_line_says_how_charging_goes() -> None:
    run = progress(plan(session=True, stages=(stage("peak", 600.0, 500, sessions=0.5),)))
    for second in range(1, 121):
        take(run, at=float(second), counters={"sessions.started": second % 2}, charging=45)
    take(run, counters={"sessions.no_free_connector": 3}, charging=45)

    assert "  charging 45  sessions 1,800/h plan, 1,800/h done  " in plain_line(run).plain


def test_drivers_who_found_no_connector_come_first_in_the_plain_line_and_loud() -> None:
    run = progress(plan(session=True, stages=(stage("a-stage-of-a-long-name" * 3, 600.0, 500, sessions=0.5),)))
    take(run, at=60.0, counters={"sessions.no_free_connector": 1234})
    line = plain_line(run)

    assert line.plain.startswith("0:01:00  no free connector 1,234  a-stage")
    assert [line.plain[span.start : span.end] for span in line.spans if span.style == BAD] == [
        "no free connector 1,234"
    ]


def test_the_plain_line_shows_the_action_of_which_most_is_sent() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("BootNotification", sent=1000, planned=1000))
    take(run, calls("Authorize", [0.1] * 99), calls("Heartbeat", [0.5] * 100))

    assert "Heartbeat p95 500ms p99 500ms" in plain_line(run).plain  # of the boots none has been answered yet


def test_the_plain_line_of_an_empty_run_has_no_invented_numbers() -> None:
    assert "all p95 - p99 -  errors 0 (-)  lateness p99 -" in plain_line(progress(elapsed=10.0)).plain


def test_what_happens_is_written_once_and_as_it_comes() -> None:
    console, file = paper()
    run = progress(elapsed=3.0)
    plain = PlainConsole(run, console)
    run.happened("one [red]\x1b[31m")
    plain.refresh()
    run.happened("two")
    run.happened("two")
    plain.refresh()
    plain.refresh()

    assert file.getvalue() == "0:00:03  one [red]\\x1b[31m\n0:00:03  two\n0:00:03  two\n"


def test_the_plain_console_ends_with_how_the_run_stood() -> None:
    console, file = paper()
    run = progress(elapsed=4.0)
    with PlainConsole(run, console):
        run.happened("the end")

    assert [text[:16] for text in file.getvalue().splitlines()] == ["0:00:04  the end", "0:00:04  main 1/"]


def events(run_seconds: float, *looks: tuple[float, int], stages: int = 1) -> list[str]:
    """Have so many of a hundred calls fail at each moment, and return what was written beside the usual lines."""
    names = tuple(stage(f"part{n}", run_seconds / stages, 500) for n in range(stages))
    run = progress(plan(stages=names, checks=("all errors < 5%", "Reset p95 < 1s")))
    console, file = paper(200)
    plain = PlainConsole(run, console)
    for at, failed in looks:
        take(run, calls("Heartbeat", [0.1] * 100, accepted=100 - failed, timeout=failed), at=at)
        plain.refresh()
    return [text for text in file.getvalue().splitlines() if "msg/s" not in text]


def test_a_new_stage_is_told_at_once() -> None:
    assert events(120.0, (1.0, 0), (59.5, 0), (60.0, 0), (60.5, 0), stages=2) == ["0:01:00  stage 2/2 part1, 1m00s"]


def test_a_threshold_is_told_when_it_begins_to_fail_and_not_again_while_it_does() -> None:
    assert events(600.0, (2.0, 0), (4.0, 20), (6.0, 20), (8.0, 20)) == [
        "0:00:04  threshold fails so far: all errors < 5%: 10.00%"
    ]


def test_a_threshold_that_goes_to_and_fro_is_told_of_once_a_minute() -> None:
    run = progress(plan(checks=("all rate <= 50/s",), stages=(stage("main", 600.0, 500),)))
    console, file = paper(200)
    plain = PlainConsole(run, console)
    for at in range(2, 302, 2):
        take(run, calls("Heartbeat", [0.1] * (104 if at % 4 else 96)), at=float(at))
        plain.refresh()

    told = [text for text in file.getvalue().splitlines() if "threshold fails so far: all rate <= 50/s" in text]
    assert [text.split()[0] for text in told] == ["0:00:02", "0:01:02", "0:02:02", "0:03:02", "0:04:02"]


def test_nothing_is_told_of_stages_and_thresholds_once_the_run_has_ended() -> None:
    run = progress(plan(checks=("all errors == 0",)), elapsed=60.0)
    run.ended_at = 60.0
    console, file = paper()
    take(run, calls("Heartbeat", [0.1], accepted=0, timeout=1))
    PlainConsole(run, console).refresh()

    assert "threshold fails" not in file.getvalue()


def test_the_log_of_a_soak_of_a_day_is_a_line_a_minute_whatever_happens_in_it() -> None:
    drops = FaultPlan(name="lte_drops", do="drop", how="reset", rate=0.2 / HOUR, end=24 * HOUR)
    run = progress(plan(count=5000, stages=(stage("soak", 24 * HOUR, 5000),), faults=(drops,)))
    console, file = paper()
    plain = PlainConsole(run, console)
    for second in range(2, int(2 * HOUR), 2):
        hit = {"faults.lte_drops.hit": 1, "faults.lte_drops.offline": 1}
        take(run, at=float(second), counters=hit, recoveries={"lte_drops": [5.0]}, lateness=())
        plain.refresh()

    assert len(file.getvalue()) * 12 < 500_000
    assert 2 * 60 <= len(file.getvalue().splitlines()) <= 4 * 60


class Gone(Terminal):
    """A terminal that was closed: nothing can be written to it any more."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def flush(self) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


@pytest.mark.parametrize("kind", [PlainConsole, LiveConsole])
def test_a_terminal_that_is_gone_ends_no_run(kind: type[PlainConsole | LiveConsole]) -> None:
    console = Console(file=unless_gone(Gone()), width=100, height=30, _environ={"TERM": "xterm"})
    run = progress(plan(checks=("all errors == 0",)))
    with kind(run, console) as output:
        for second in range(1, 30):
            run.happened("something")
            take(run, calls("Heartbeat", [0.1], accepted=0, timeout=1), at=float(second))
            output.refresh()

    assert run.elapsed == 29.0
