"""What a threshold refers to, and whether it can be held against this run at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from loadsim.metrics.stretches import StageTime, measured_stretches
from loadsim.metrics.thresholds import Check, ThresholdSyntaxError, parse
from loadsim.scenario.check_faults import fault_names
from loadsim.scenario.model_thresholds import ThresholdModel
from loadsim.scenario.places import KeyPath, Places, unknown
from loadsim.scenario.timeline import Timeline
from loadsim.units import duration_text, shown

_SHORTEST: Final = 1.0
"""Seconds of a window: the numbers come by the second."""
_AT_THE_END: Final = frozenset({"orphaned", "undelivered"})


def check_thresholds(
    thresholds: Sequence[ThresholdModel],
    places: Places,
    timeline: Timeline,
    actions: Collection[str],
    classes: Collection[str],
) -> None:
    """Report what is wrong with the *thresholds*; *actions* and tag *classes* are those that there are."""
    for number, threshold in zip(threshold_numbers(places), thresholds, strict=True):
        path: KeyPath = ("thresholds", number)
        if places.broken(*path, "check"):
            continue
        try:
            check = parse(threshold.check)
        except ThresholdSyntaxError as error:
            places.report((*path, "check"), str(error))
            continue
        for what, word, words in (
            ("action", check.action, [*actions, "all"]),
            ("tag class", check.tag_class, classes),
            ("stage", check.stage, timeline.names),
        ):
            if word is not None and word not in words:
                places.report((*path, "check"), unknown(what, word, words))
        if check.fault is not None and check.fault not in fault_names(places):
            places.report((*path, "check"), _unknown_fault(check.fault, fault_names(places)))
        _check_countable(check, places, (*path, "check"), timeline)
        _check_over(threshold, check, places, path, timeline)
        _check_abort(threshold, check, places, path, timeline)


def threshold_numbers(places: Places) -> list[int]:
    """Return the numbers, in the file, of the thresholds that were not pruned: those whose check is text."""
    followed, node, _ = places.find(("thresholds",))
    if not followed or node.kind != "list":
        return []
    checks = {
        int(number): item.children.get("check") if item.kind == "mapping" else item
        for number, item in node.children.items()
    }
    return [number for number, check in checks.items() if check is not None and isinstance(check.value, str)]


def _unknown_fault(name: str, names: Sequence[str]) -> str:
    return unknown("fault", name, names) if names else f"unknown fault {shown(name)}; there are no faults"


def _check_countable(check: Check, places: Places, path: KeyPath, timeline: Timeline) -> None:
    if check.aggregate == "orphaned" and "url" in places.keys("csms"):
        places.report(
            path, "with csms.url this can never be known: only the embedded CSMS tells its open transactions"
        )
    if check.stage in timeline.unmeasured:
        places.report(path, f"the stage {shown(check.stage or '')} has measure: false and is never counted")
    of_stages = check.subject in ("calls", "online") and check.stage is None
    if of_stages and timeline.windows and timeline.unmeasured == set(timeline.names):
        places.report(path, "every stage has measure: false, and none is ever counted")


def _check_over(threshold: ThresholdModel, check: Check, places: Places, path: KeyPath, timeline: Timeline) -> None:
    over, place = threshold.over, (*path, "over")
    if over is None:
        return
    if not check.has_windows:
        places.report(place, f"over does not go with {_whole(check)}", key=True)
        return
    if over < _SHORTEST:
        places.report(place, f"expected at least 1s, got {duration_text(over)}")
        return
    if over % _SHORTEST:
        places.report(place, f"expected whole seconds, as the numbers come, got {duration_text(over)}")
        return
    longest = _longest(timeline, check.stage, 0.0)
    if not longest:
        return  # stages are wrong, or none is ever counted, which was reported
    what = "the run" if check.stage is None else f"the stage {shown(check.stage)}"
    if over > longest:
        takes = f"of which at most {duration_text(longest)} are measured without a break"
        if check.stage is not None or not timeline.unmeasured:
            takes = f"which takes {duration_text(longest)}"
        places.report(place, f"{duration_text(over)} is longer than {what}, {takes}")
        return
    after = threshold.after or 0.0
    left = _longest(timeline, check.stage, after)
    if over > left and after < (timeline.duration or 0.0):
        places.report(
            (*path, "after"),
            f"from {duration_text(after)} on no more than {duration_text(left)} of {what} are counted, "
            f"and over asks for {duration_text(over)}",
        )


def _longest(timeline: Timeline, stage: str | None, after: float) -> float:
    """Return how long the longest stretch is that counts of the run, or *stage*; 0 where that is not known."""
    times = [
        StageTime(name, begin, end, name not in timeline.unmeasured)
        for name, (begin, end) in (timeline.windows or {}).items()
    ]
    lengths = [each.end - each.begin for each in measured_stretches(times, stage, after)]
    return round(max(lengths, default=0.0), 9)


def _whole(check: Check) -> str:
    if check.drift:
        return "drift, which compares the last third with the first"
    if check.subject == "recovery":
        return "a recovery, which is as long as it is"
    return "transactions, which are counted over the whole run"


def _check_abort(threshold: ThresholdModel, check: Check, places: Places, path: KeyPath, timeline: Timeline) -> None:
    after = threshold.after
    if threshold.abort and check.subject == "transactions" and check.aggregate in _AT_THE_END:
        places.report(
            (*path, "abort"), f"how many are {check.aggregate} is known at the end of the run, and cannot end it"
        )
    elif threshold.abort and check.drift and _ends_with_the_run(check.stage, timeline):
        places.report((*path, "abort"), "this drift is known at the end of the run, and cannot end it")
    if after is None:
        return
    if threshold.over is None and not threshold.abort and not places.broken(*path):
        places.report((*path, "after"), "after goes with over or abort: true, and there is neither", key=True)
    elif timeline.duration is not None and after >= timeline.duration:
        where = "is after the run's end at" if after > timeline.duration else "is the run's end, at"
        places.report((*path, "after"), f"{duration_text(after)} {where} {duration_text(timeline.duration)}")


def _ends_with_the_run(stage: str | None, timeline: Timeline) -> bool:
    last = timeline.names[-1] if timeline.names else None
    return stage in (None, last) and last not in timeline.unmeasured
