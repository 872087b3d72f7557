"""The live console's picture: a run's progress as lines of text that fit a width and a height."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from loadsim.metrics.judge import MOST_CPU, Result, invalid_because
from loadsim.output.fault_news import open_faults
from loadsim.output.layout import (
    ACCENT,
    BAD,
    GOOD,
    NONE,
    QUIET,
    STRONG,
    WARNING,
    clean,
    clock,
    cut,
    duration,
    hourly,
    labelled,
    measured,
    rate,
)
from loadsim.output.progress import Progress
from loadsim.output.screen_table import View, actions_table
from loadsim.output.session_rates import plans_sessions
from loadsim.scenario.load_profile import planned_online, planned_online_in_all
from loadsim.units import format_bytes, format_count

_AT_RISK: Final = 0.9
_WIDEST: Final = 140
"""A wider picture would tear apart what belongs together."""
_LOW: Final = 14
"""Below this height blank lines are left out."""
_TALL: Final = 24
_ROOMY: Final = 100
"""Below this width units are not said twice."""
_EVENTS: Final = 3


def judge_so_far(progress: Progress) -> list[Result]:
    """Hold the thresholds against the numbers so far."""
    return progress.judge()


def draw(view: View, *, width: int, height: int) -> list[Text]:
    """Draw the run into at most *height* lines of at most *width* cells."""
    width = min(width, _WIDEST)
    gap = [Text("")] if height >= _LOW else []
    head = [*_header(view.progress, width), *gap, _charge_points(view.progress, width), _load(view, width)]
    foot = [
        *_faults(view.progress, width),
        *_thresholds(view, width),
        *_generator(view.progress, width),
        *_lost_workers(view.progress, width),
        *_events(view.progress, width, _EVENTS if height >= _TALL else 1),
    ]
    rows = height - len(head) - len(foot) - 2 * len(gap) - 1
    body = actions_table(view, width, rows) if rows > 0 and view.actions else []
    parts = [*head, *gap, *body, *gap, *foot] if body else [*head, *gap, *foot]
    for line in parts:
        line.truncate(width)
    return parts[:height]


def _header(progress: Progress, width: int) -> list[Text]:
    plan = progress.plan
    name = Text.assemble(("loadsim ", QUIET), (cut(plan.name, max(width - 32, 12)), STRONG))
    run = Text.assemble(
        ("run ", QUIET),
        clock(progress.elapsed, hours=True),
        (f" / {clock(plan.duration, hours=True)}", QUIET),
    )
    where, done = _stage(progress)
    percent = f"{done:4.0%}"
    one_line = name.cell_len + where.cell_len + run.cell_len + len(percent) + 12
    if width >= one_line + 10:
        bar = _bar(done, min(width - one_line, 40))
        rest = width - one_line - bar.cell_len
        return [Text.assemble(name, "   ", where, "  ", bar, " ", percent, " " * (3 + rest), run, no_wrap=True)]
    pad = " " * max(width - name.cell_len - run.cell_len, 2)
    where.truncate(max(width - 16, 8), overflow="ellipsis")
    bar = _bar(done, min(max(width - where.cell_len - 8, 0), 40))
    return [
        Text.assemble(name, pad, run, no_wrap=True),
        Text.assemble(where, "  ", bar, " ", percent, no_wrap=True),
    ]


def _stage(progress: Progress) -> tuple[Text, float]:
    """Say what the run is at, and how much of it is done."""
    plan = progress.plan
    if progress.aborted_because:
        return Text("given up", style=BAD), 0.0
    if progress.interrupted_by:
        return Text(f"ending after {progress.interrupted_by}", style=WARNING), _part(progress.elapsed, plan.duration)
    if progress.ended_at is not None or progress.elapsed >= plan.duration:
        return Text("ending: open calls are awaited"), 1.0
    index = progress.stage_index
    stage = plan.stages[index]
    since = sum(earlier.duration for earlier in plan.stages[:index])
    now = progress.elapsed - since
    text = Text.assemble(
        (f"stage {index + 1}/{len(plan.stages)} ", QUIET),
        (cut(stage.name, 30), STRONG),
        f"  {clock(now)}",
        (f"/{clock(stage.duration)}", QUIET),
    )
    return text, _part(now, stage.duration)


def _part(done: float, whole: float) -> float:
    return min(max(done / whole, 0.0), 1.0) if whole else 1.0


def _bar(done: float, width: int) -> Text:
    full = int(done * width)
    return Text.assemble(("━" * full, ACCENT), ("─" * (width - full), QUIET))


def _charge_points(progress: Progress, width: int) -> Text:
    totals, plan = progress.totals, progress.plan
    planned = planned_online_in_all(plan, progress.measured_at)
    online = totals.gauge("charge_points.online")
    backing_off = totals.gauge("charge_points.backing_off")
    items = [Text.assemble(("online ", QUIET), (_count(online), STRONG), (f"/{_count(planned)}", QUIET))]
    items.append(_named("booting", _count(totals.gauge("charge_points.booting"))))
    items.append(_named("backing off", _count(backing_off), WARNING if backing_off else ""))
    if shows_sessions(progress):
        items.append(_named("charging", _count(totals.gauge("transactions.running"))))
    if planned != plan.charge_points:
        items.append(Text(f"of {_count(plan.charge_points)} in all", style=QUIET))
    lost = sum(totals.with_prefix("connections.lost.").values())
    refused = sum(totals.with_prefix("connections.refused.").values())
    if lost:
        items.append(_named("lost", _count(lost), WARNING))
    if refused:
        items.append(_named("refused", _count(refused), WARNING))
    return labelled("charge points", items, width)


def _load(view: View, width: int) -> Text:
    progress = view.progress
    out, back = progress.messages_per_second()
    items: list[str | Text] = []
    if shows_sessions(progress):
        items.append(Text.assemble(("sessions ", QUIET), *_session_rates(progress)))
    planned = _planned_authorize(progress)
    if planned is not None:
        sent = progress.sent_per_second("Authorize")
        items.append(
            Text.assemble(("Authorize ", QUIET), f"{rate(sent)}/s", (f" of {rate(planned)}/s planned", QUIET))
        )
    elif view.actions and not items:
        items.append(_named("calls", f"{rate(sum(map(progress.sent_per_second, view.actions)))}/s"))
    of_messages = " msg/s in" if width >= _ROOMY else " in"
    items.append(Text.assemble(rate(out), (" msg/s out, ", QUIET), rate(back), (of_messages, QUIET)))
    turned_away = progress.totals.counters["sessions.no_free_connector"]
    if turned_away:  # first: what is not carried must not be left out for want of room
        items.insert(0, Text(f"no free connector {_count(turned_away)}", style=BAD))
    return labelled("load", items, width)


def shows_sessions(progress: Progress) -> bool:
    """Tell whether there are charging sessions to be shown: planned ones, or such as the CSMS began."""
    return plans_sessions(progress.plan) or progress.totals.counters["sessions.from_csms"] > 0


def _session_rates(progress: Progress) -> list[str | tuple[str, str]]:
    rates = progress.recent_sessions.rates(progress.ended_at)
    if rates is None:
        return [NONE]
    parts: list[str | tuple[str, str]] = [
        hourly(rates.planned),
        (" plan, ", QUIET),
        hourly(rates.done),
        (" done", QUIET),
    ]
    if rates.from_csms:
        parts += [(", ", QUIET), hourly(rates.from_csms), (" from the CSMS", QUIET)]
    return parts


def _planned_authorize(progress: Progress) -> float | None:
    """Return the Authorize a second that the plan asks for now; None when no fleet sends any by itself."""
    plan, rates = progress.plan, []
    for fleet in plan.fleets:
        if fleet.settings.authorize is not None:
            online = planned_online(plan.stages, fleet.name, progress.elapsed)
            rates.append(fleet.settings.authorize.rate * online)
    if not rates:
        return None
    return 0.0 if progress.ended_at is not None else sum(rates)


def _faults(progress: Progress, width: int) -> list[Text]:
    faults = [Text(clean(told), style=WARNING) for told in open_faults(progress.plan, progress.totals)]
    return [labelled("faults", faults, width)] if faults else []


def _thresholds(view: View, width: int) -> list[Text]:
    if not view.results:
        return [labelled("thresholds", [Text("none", style=QUIET)], width)]
    waiting = [result for result in view.results if result.actual is None]
    known = sorted((result for result in view.results if result.actual is not None), key=_strain, reverse=True)
    failing = [result for result in known if not result.ok]
    at_risk = [result for result in known if result.ok and _strain(result) >= _AT_RISK]
    counts = [
        (len(known) - len(failing) - len(at_risk), "ok", GOOD),
        (len(at_risk), "at risk", WARNING),
        (len(failing), "failing", BAD),
        (len(waiting), "waiting", QUIET),
    ]
    items: list[str | Text] = [Text(f"{number} {what}", style=style) for number, what, style in counts if number]
    worst = next(iter([*failing, *at_risk, *known]), None)
    if worst is None:
        return [labelled("thresholds", items, width)]
    style = BAD if worst in failing else WARNING if worst in at_risk else ""
    actual = measured(worst.check, worst.actual)
    text = cut(worst.check.text, max(width - 17 - len(actual), 8))
    named = Text.assemble((f"{text}: ", QUIET), (actual, style))
    line = labelled("thresholds", items, width)
    if line.cell_len + 3 + named.cell_len <= width:
        return [labelled("thresholds", [*items, named], width)]
    return [line, labelled("", [named], width)]


def _strain(result: Result) -> float:
    """Return how near the actual value is to its limit: 1 at the limit, more beyond it."""
    actual, limit = result.actual or 0.0, result.check.value
    if result.check.op == "==":
        return 0.0 if result.ok else float("inf")
    if result.check.op in (">", ">="):
        # A share that is to be high is near its limit when what it lacks is: 99.9 % of 99.5 % is not.
        of_shares = result.check.value_kind == "share"
        actual, limit = (1.0 - actual, 1.0 - limit) if of_shares else (limit, actual)
    if limit:
        return actual / limit
    return float("inf") if actual or not result.ok else 0.0


def _generator(progress: Progress, width: int) -> list[Text]:
    workers, health = progress.totals.health.values(), progress.health
    reasons = invalid_because(health, progress.checks)
    core = max((worker.cpu for worker in workers), default=None)
    busy = bool(reasons) or (core is not None and core > MOST_CPU)
    descriptors = max(workers, key=lambda worker: worker.descriptors, default=None)
    state = Text("OK", style=GOOD) if workers else Text("starting", style=QUIET)
    items: list[str | Text] = [
        Text("BUSY", style=f"bold {WARNING}") if busy else state,
        _named("core", NONE if core is None else f"{core:.0%}", WARNING if core and core > MOST_CPU else ""),
        _named("lateness p99", duration(health.lateness_p99)),
        _named("RSS", format_bytes(sum(worker.rss for worker in workers)) if workers else NONE),
    ]
    if descriptors is not None:
        items.append(_named("fds", f"{_count(descriptors.descriptors)}/{_count(descriptors.descriptor_limit)}"))
    if progress.workers > 1:
        items.append(_named("workers", str(progress.workers)))
    return [
        labelled("generator", items, width),
        *(labelled("", [Text(clean(reason), style=WARNING)], width) for reason in reasons[:1]),
    ]


def _lost_workers(progress: Progress, width: int) -> list[Text]:
    if not progress.lost_workers:
        return []
    shard, why = next(iter(progress.lost_workers.items()))
    text = f"{len(progress.lost_workers)} of {progress.workers} LOST: worker {shard}: {clean(why)}"
    return [labelled("workers", [Text(text, style=BAD)], width)]


def _events(progress: Progress, width: int, most: int) -> list[Text]:
    latest = list(progress.happenings)[-most:]
    label = "last event" if len(latest) == 1 else "last events"
    return [
        labelled(
            "" if position else label,
            [Text.assemble((f"{clock(happening.at)}  ", QUIET), clean(happening.text))],
            width,
        )
        for position, happening in enumerate(reversed(latest))
    ]


def _named(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{name} ", QUIET), (value, style))


def _count(number: int) -> str:
    return format_count(number)
