"""Which console is chosen, what the plain one writes, and that the live one leaves no trace."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from loadsim.output.console import LiveConsole, PlainConsole, SilentConsole, make_console, plain_line
from loadsim.output.layout import BAD
from tests.output.builders import Terminal, calls, healthy, paper, plan, progress, stage, take


def terminal(**environment: str) -> Console:
    return Console(
        file=Terminal(), width=100, height=30, legacy_windows=False, _environ={"TERM": "xterm", **environment}
    )


def test_auto_is_live_on_a_terminal_and_plain_elsewhere() -> None:
    assert isinstance(make_console("auto", progress(), terminal()), LiveConsole)
    assert isinstance(make_console("auto", progress(), Console(file=io.StringIO(), _environ={})), PlainConsole)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TTY_INTERACTIVE": "0"}, {"TTY_COMPATIBLE": "0"}])
def test_auto_is_plain_where_nothing_can_be_drawn_over(environment: dict[str, str]) -> None:
    assert isinstance(make_console("auto", progress(), terminal(**environment)), PlainConsole)


def test_forced_colour_does_not_animate_a_log() -> None:
    log = Console(file=io.StringIO(), _environ={"FORCE_COLOR": "1", "TERM": "xterm"})

    assert isinstance(make_console("auto", progress(), log), PlainConsole)


def test_live_without_a_terminal_is_plain() -> None:
    assert isinstance(make_console("live", progress(), Console(file=io.StringIO(), _environ={})), PlainConsole)


def test_off_writes_nothing() -> None:
    console = terminal()
    output = make_console("off", progress(), console)
    with output:
        output.refresh()

    assert isinstance(output, SilentConsole)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_the_live_console_draws_in_place_and_clears_itself() -> None:
    console, run = terminal(NO_COLOR="1"), progress(elapsed=5.0)
    with LiveConsole(run, console) as live:
        take(run, calls("Authorize", [0.1]), gauges={"online": 500})
        live.refresh()
        drawn = console.file.getvalue()  # type: ignore[attr-defined]
    rest = console.file.getvalue()[len(drawn) :]  # type: ignore[attr-defined]

    assert "online 500/500" in re.sub(r"\x1b\[[0-9;]*m", "", drawn)
    assert "\x1b[?25l" in drawn  # the cursor hidden
    assert "\x1b[?25h" in rest  # and shown again
    assert "\x1b[2K" in rest  # lines erased


def test_no_color_leaves_no_colours() -> None:
    console, run = terminal(NO_COLOR="1"), progress(elapsed=5.0)
    take(run, calls("Authorize", [0.1], accepted=0, timeout=1), health=healthy())
    with LiveConsole(run, console) as live:
        live.refresh()

    assert not re.findall(r"\x1b\[(?:\d+;)*(?:3\d|9\d)m", console.file.getvalue())  # type: ignore[attr-defined]


def test_a_terminal_that_is_not_utf8_is_not_sent_what_it_cannot_show() -> None:
    console = Console(file=Terminal("latin-1"), width=80, height=30, _environ={"TERM": "xterm"})
    run = progress(plan(name="Straße 漢字"), elapsed=30.0)
    with LiveConsole(run, console) as live:
        live.refresh()

    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Straße ??" in re.sub(r"\x1b\[[0-9;]*m", "", written)
    written.encode("latin-1")


def test_the_plain_console_writes_a_line_every_ten_seconds() -> None:
    console, file = paper()
    run = progress()
    plain = PlainConsole(run, console)
    for half in range(1, 71):
        run.elapsed = half / 2
        plain.refresh()

    assert [text.split()[0] for text in file.getvalue().splitlines()] == ["0:00:10", "0:00:20", "0:00:30"]


def test_the_plain_line_says_the_essential_on_one_line() -> None:
    run = progress(plan(checks=("all errors == 0",)), elapsed=10.0, workers=2)
    take(
        run,
        calls("Authorize", [0.04] * 99, accepted=98, timeout=1),
        calls("Heartbeat", [0.5] * 100),
        counters={"messages.sent": 250, "messages.received": 245},
        gauges={"online": 498},
    )
    run.lost_workers[1] = "gone"
    console, file = paper(80)
    with PlainConsole(run, console) as plain:
        plain.refresh()

    assert file.getvalue() == (
        "0:00:10  main 1/1  online 498/500  50.0 msg/s out, 49.0 in  Authorize p95 40ms p99 40ms  "
        "errors 1 (0.50%)  lateness p99 3ms  1 of 1 thresholds failing  1 of 2 workers LOST\n"
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


def test_the_plain_line_shows_all_calls_where_nobody_authorizes() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("Heartbeat", [0.5] * 100))

    assert "all p95 500ms p99 500ms" in plain_line(run).plain


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


def test_the_picture_for_the_readme_is_svg_that_loads_nothing() -> None:
    run = progress(elapsed=10.0)
    take(run, calls("Authorize", [0.1] * 10), gauges={"online": 500})

    svg = LiveConsole(run, paper()[0]).snapshot_svg("loadsim run smoke.yaml")

    assert svg.startswith("<svg")
    assert "Authorize" in svg
    assert "loadsim&#160;run&#160;smoke.yaml" in svg or "loadsim run smoke.yaml" in svg
    assert "@font-face" not in svg
    assert str(Path.cwd()) not in svg
    assert str(Path.cwd()) not in svg
    assert "url(http" not in svg
