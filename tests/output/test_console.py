"""Which console is chosen, and that the live one leaves no trace."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from loadsim.output.console import LiveConsole, SilentConsole, make_console
from loadsim.output.plain_console import PlainConsole
from tests.output.builders import Terminal, calls, healthy, paper, plan, progress, take


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
