"""What a scenario's keys must be together, and what the files it names must hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeVar

from loadsim.scenario.check_calls import Around, any_matches, check_calls
from loadsim.scenario.check_faults import check_faults
from loadsim.scenario.check_sessions import (
    ConfigurationProblem,
    check_fleet,
    check_remote_starts,
    check_session_kinds,
    check_stage_sessions,
    check_tag_shares,
)
from loadsim.scenario.check_target import check_csms
from loadsim.scenario.check_thresholds import check_thresholds
from loadsim.scenario.files import read_identities, read_tags
from loadsim.scenario.model import MOST_CHARGE_POINTS, FleetModel, ScenarioModel, StageModel, TagClassModel
from loadsim.scenario.model_fields import EVERY, Amount
from loadsim.scenario.patterns import Filled, id_problem, only_id, placeholders, tag_problem
from loadsim.scenario.places import KeyPath, Places, unknown
from loadsim.scenario.plan import Identity
from loadsim.scenario.timeline import timeline_of
from loadsim.units import format_count, shown

DEFAULT_ID = "{fleet}-{n:05}"
_LONGEST_SERIAL = 25
_T = TypeVar("_T")


@dataclass(slots=True)
class Found:
    """What the checks read on their way: the files' identities and tags, and the password."""

    identities: dict[str, tuple[Identity, ...]] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    password: str | None = None


def check(
    model: ScenarioModel,
    places: Places,
    path: Path,
    kept: list[int],
    actions: Collection[str],
    configuration: ConfigurationProblem | None,
    found: Found,
) -> None:
    """Report what is wrong between the keys of *model*, whose stages are those numbered *kept* in the file."""
    folder = path.parent
    _check_tag_classes(model, places, folder, found)
    counts = _check_fleets(model, places, folder, configuration, found)
    check_session_kinds(model, places, tag_class_names(places), configuration)
    if model.csms is not None:
        found.password = check_csms(model.csms, places, folder)
    _check_users(model, places, found)
    _check_stages(model, places, kept, counts)
    _check_planned_calls(model, places, found)
    timeline = timeline_of(stage_names(places), None if places.broken("stages") else model.stages)
    check_faults(model.faults or (), places, timeline)
    check_thresholds(model.thresholds or (), places, timeline, actions, tag_class_names(places))


def _check_planned_calls(model: ScenarioModel, places: Places, found: Found) -> None:
    embedded = model.csms.embedded if model.csms is not None else None
    if embedded is None or embedded.calls is None:
        return
    around = Around(
        tag_classes=tag_class_names(places),
        stages=stage_names(places),
        duration=sum(stage.duration for stage in model.stages),
        matches=None
        if places.broken("fleets")
        else any_matches(lambda: chain(*_all_ids(model, places, found).values())),
    )
    check_calls(embedded.calls, places, ("csms", "embedded", "calls"), around)
    if not places.broken("fleets") and not places.broken("csms", "embedded", "calls"):
        check_remote_starts(model, places, embedded.calls, _all_ids(model, places, found))


def load(read: Callable[[Path, Callable[..., None]], _T], folder: Path, places: Places, path: KeyPath) -> _T | None:
    """Read the file named at *path* with *read*, or report why not."""
    _, node, _ = places.find(path)
    name = folder / str(node.value)
    try:
        return read(name, places.report_file)
    except ValueError as error:
        places.report(path, f"{shown(str(name), 300)} {error}")
        return None


def _check_tag_classes(model: ScenarioModel, places: Places, folder: Path, found: Found) -> None:
    if model.id_tags is None:
        return
    if not model.id_tags and not places.keys("id_tags") and not places.broken("id_tags"):
        places.report(
            ("id_tags",), "expected at least one tag class, such as drivers: {count: 100, pattern: 'TAG{n:05}'}"
        )
    for name, tag_class in model.id_tags.items():
        path: KeyPath = ("id_tags", name)
        if tag_class.file is not None and tag_class.pattern is not None:
            places.report((*path, "pattern"), "give either a file or a pattern", key=True)
        elif tag_class.file is not None:
            tags = load(read_tags, folder, places, (*path, "file"))
            if tags is not None:
                found.tags[name] = tags
                _check_count(places, path, tag_class.count, len(tags), "id tags")
        elif tag_class.pattern is not None:
            last = _check_pattern(places, path, "pattern", tag_class.pattern, tag_class.count, ("n",))
            problem = tag_problem(last) if last is not None else None
            if problem is not None:
                places.report((*path, "pattern"), problem)
        elif not places.broken(*path):
            places.report(path, "expected count and pattern, or a file", key=True)
    _check_collisions(places, "id_tags", "id tag", _all_tags(model.id_tags, places, found), str.casefold)


def _check_fleets(
    model: ScenarioModel, places: Places, folder: Path, configuration: ConfigurationProblem | None, found: Found
) -> dict[str, int]:
    """Check the fleets; return the number of charge points of those where it is known."""
    if not model.fleets and not places.keys("fleets") and not places.broken("fleets"):
        places.report(("fleets",), "expected at least one fleet, such as demo: {count: 10}")
    counts: dict[str, int] = {}
    for name, fleet in model.fleets.items():
        path: KeyPath = ("fleets", name)
        longest = _check_ids(places, folder, name, fleet, found)
        counts |= _fleet_count(places, name, fleet, found)
        _check_serials(places, path, fleet, longest)
        if fleet.tags is not None:
            check_tag_shares(places, (*path, "tags"), fleet.tags, tag_class_names(places))
        check_fleet(model, places, name, configuration)
        reconnect = fleet.reconnect
        if reconnect is not None and (reconnect.first or 5.0) > (reconnect.max or 300.0):
            places.report((*path, "reconnect"), "expected 'first' to be at most 'max'", key=True)
    if sum(counts.values()) > MOST_CHARGE_POINTS:
        places.report(
            ("fleets",), f"at most {MOST_CHARGE_POINTS:,} charge points, got {sum(counts.values()):,}", key=True
        )
        return counts
    _check_collisions(places, "fleets", "identity", _all_ids(model, places, found), str)
    return counts


def _fleet_count(places: Places, name: str, fleet: FleetModel, found: Found) -> dict[str, int]:
    if name in found.identities:
        return {name: min(fleet.count or len(found.identities[name]), len(found.identities[name]))}
    if fleet.count is not None:
        return {name: fleet.count}
    if not places.broken("fleets", name, "count") and not (fleet.id is not None and fleet.id.file is not None):
        places.report(("fleets", name), "expected count, the number of charge points", key=True)
    return {}


def _check_ids(places: Places, folder: Path, name: str, fleet: FleetModel, found: Found) -> int:
    """Check a fleet's identities; return the length of the longest."""
    path: KeyPath = ("fleets", name)
    file = fleet.id.file if fleet.id is not None else None
    pattern = id_pattern(fleet)
    if fleet.id is not None and file is None and fleet.id.pattern is None and not places.broken(*path, "id"):
        places.report((*path, "id"), "expected a pattern such as 'AC-{n:05}', or {file: ids.csv}")
    if file is None:
        last = _check_pattern(places, path, "id", pattern, fleet.count, ("n", "fleet"))
        problem = id_problem(last) if last is not None else None
        if problem is not None:
            places.report((*path, "id"), problem)
        return len(last or "")
    if fleet.id is not None and fleet.id.pattern is not None:
        places.report((*path, "id", "pattern"), "give either a file or a pattern", key=True)
    identities = load(read_identities, folder, places, (*path, "id", "file"))
    if identities is None:
        return 0
    found.identities[name] = identities
    _check_count(places, path, fleet.count, len(identities), "identities")
    return max((len(identity.id) for identity in identities), default=0)


def id_pattern(fleet: FleetModel) -> str:
    """Return the pattern of a fleet's identities, as given or by default."""
    return DEFAULT_ID if fleet.id is None or fleet.id.pattern is None else fleet.id.pattern


def _check_count(places: Places, path: KeyPath, count: int | None, rows: int, what: str) -> None:
    if count is not None and count > rows:
        places.report((*path, "count"), f"the file has only {rows:,} {what}, got {count:,}")


def _check_pattern(
    places: Places, path: KeyPath, key: str, pattern: str, count: int | None, allowed: Collection[str]
) -> str | None:
    """Check a pattern of ids or tags; return its last, and so longest, value."""
    try:
        names = placeholders(pattern, allowed)
    except ValueError as error:
        places.report((*path, key), str(error))
        return None
    if count is None and key == "pattern" and not places.broken(*path, "count"):
        places.report(path, "expected count, the number of id tags", key=True)
    if "n" not in names and (count or 1) > 1:
        places.report((*path, key), f"{count:,} of them need {{n}} in {shown(pattern)}, or all would be the same")
    return pattern.format(n=count or 1, fleet=path[-1])


def _check_serials(places: Places, path: KeyPath, fleet: FleetModel, longest: int) -> None:
    for key in ("serial", "box_serial", "meter_serial"):
        text = getattr(fleet.boot, key, None)
        if text is None:
            continue
        try:
            length = len(text) + (longest - len("{id}")) * text.count("{id}") if only_id(text) else 0
        except ValueError as error:
            places.report((*path, "boot", key), str(error))
            continue
        if length > _LONGEST_SERIAL:
            places.report(
                (*path, "boot", key),
                f"with the longest identity it has {length} characters; OCPP 1.6 allows {_LONGEST_SERIAL}",
            )


def _check_users(model: ScenarioModel, places: Places, found: Found) -> None:
    """Refuse a colon in an identity that becomes a user name (RFC 7617, section 2), and a user without password."""
    auth = model.csms.auth if model.csms is not None else None
    own = {name for name, ids in found.identities.items() if any(each.password is not None for each in ids)}
    common = auth is not None and (auth.password is not None or auth.password_file is not None)
    if auth is not None and auth.user is not None and not (common or own or places.broken("csms", "auth")):
        places.report(("csms", "auth", "user"), "a user needs a password, password_file, or passwords in an id file")
    if auth is not None and auth.user is not None and "{id}" not in auth.user:
        return
    for name, fleet in model.fleets.items():
        if not (common or name in own):
            continue
        bad = next((each.id for each in found.identities.get(name, ()) if ":" in each.id), None)
        pattern = fleet.id.pattern if fleet.id is not None else None
        if bad is None and pattern is not None and name not in found.identities and _has_colon(pattern):
            bad = pattern
        if bad is not None:
            places.report(
                ("fleets", name, "id"),
                f"the identity {shown(bad)} has a ':', which a user name of basic authentication cannot have",
            )


def _has_colon(pattern: str) -> bool:
    try:
        placeholders(pattern, ("n", "fleet"))
    except ValueError:
        return False
    return ":" in pattern.format(n=1, fleet="")


def _check_stages(model: ScenarioModel, places: Places, kept: list[int], counts: dict[str, int]) -> None:
    if not kept:
        if not places.broken("stages"):
            places.report(("stages",), "expected at least one stage, such as {for: 30s, online: 100%}")
        return
    fleets = places.keys("fleets")
    names: set[str] = set()
    for index, name in enumerate(stage_names(places)):
        if name in names:
            places.report(("stages", index, "name"), f"two stages are named {shown(name)}")
        names.add(name)
    for index, stage in zip(kept, model.stages, strict=True):
        path: KeyPath = ("stages", index)
        if stage.duration == 0 and not stage.jump:
            places.report((*path, "for"), "a stage of 0s cannot ramp; give it time, or jump: true")
        wrong = places.broken(*path, "online") or places.broken(*path, "sessions")
        if stage.jump and stage.online is None and stage.sessions is None and not wrong:
            places.report((*path, "jump"), "nothing to jump to; give 'online' or 'sessions' too", key=True)
        _check_online(places, path, stage, fleets, counts)
        check_stage_sessions(places, path, stage)
    if places.broken("stages"):
        return
    if sum(stage.duration for stage in model.stages) == 0:
        places.report(("stages",), "the run takes no time", key=True)
    elif not any(amount.value for stage in model.stages for amount in (stage.online or {}).values()):
        places.report(("stages",), "no stage brings a charge point online; give one 'online: 100%'", key=True)


def _check_online(
    places: Places, path: KeyPath, stage: StageModel, fleets: list[str], counts: dict[str, int]
) -> None:
    for name, amount in (stage.online or {}).items():
        place = (*path, "online", name)
        if name == EVERY and EVERY not in places.keys(*path, "online"):
            complete = set(counts) == set(fleets)
            _check_amount(places, place, amount, sum(counts.values()) if complete else None, "all fleets have")
        elif name not in fleets:
            places.report(place, unknown("fleet", name, fleets), key=True)
        else:
            _check_amount(places, place, amount, counts.get(name), "the fleet has")


def _check_amount(places: Places, path: KeyPath, amount: Amount, count: int | None, who: str) -> None:
    if count is not None and not amount.share and amount.value > count:
        places.report(path, f"{who} {format_count(count)} charge points, got {format_count(int(amount.value))}")


def stage_names(places: Places) -> list[str]:
    """Return the stages' names as written, right or wrong, so that one mistake does not cause others."""
    _, stages, _ = places.find(("stages",))
    names = []
    for index, stage in enumerate(stages.children.values()):
        name = stage.children.get("name")
        names.append(f"stage-{index + 1}" if name is None else str(name.value))
    return names


def tag_class_names(places: Places) -> list[str]:
    """Return the tag classes' names as written, or the default one."""
    return places.keys("id_tags") or ([] if places.keys("id_tags") else ["default"])


def _all_tags(classes: dict[str, TagClassModel], places: Places, found: Found) -> dict[str, Iterable[str]]:
    tags: dict[str, Iterable[str]] = {}
    for name, tag_class in classes.items():
        if name in found.tags:
            tags[name] = found.tags[name][: tag_class.count]
        elif tag_class.pattern is not None and tag_class.count and not places.broken("id_tags", name):
            tags[name] = Filled(tag_class.pattern, tag_class.count, name)
    return tags


def _all_ids(model: ScenarioModel, places: Places, found: Found) -> dict[str, Iterable[str]]:
    ids: dict[str, Iterable[str]] = {}
    for name, fleet in model.fleets.items():
        pattern = id_pattern(fleet)
        if name in found.identities:
            ids[name] = (identity.id for identity in found.identities[name][: fleet.count])
        elif fleet.count and not places.broken("fleets", name, "id") and not places.broken("fleets", name, "count"):
            ids[name] = Filled(pattern, fleet.count, name)
    return ids


def _check_collisions(
    places: Places, section: str, what: str, groups: dict[str, Iterable[str]], same: Callable[[str], str]
) -> None:
    """Report the first value that two *groups* share; within one they differ by their number, or were checked."""
    prefixes = {name: same(values.prefix) if isinstance(values, Filled) else "" for name, values in groups.items()}
    owner: dict[str, str] = {}
    for name, values in groups.items():
        if not any(_can_meet(prefixes[name], prefixes[other]) for other in groups.keys() - {name}):
            continue  # a million values take a second
        for value in values:
            other = owner.setdefault(same(value), name)
            if other != name:
                places.report((section, name), f"the {what} {shown(value)} is also one of {shown(other)}", key=True)
                break


def _can_meet(prefix: str, other: str) -> bool:
    """Tell whether a value that begins with the one can be one that begins with the other."""
    return prefix.startswith(other) or other.startswith(prefix)
