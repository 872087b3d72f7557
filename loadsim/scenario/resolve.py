"""From a scenario without mistakes to a plan without gaps: every default filled in, every unit gone."""

from __future__ import annotations

import secrets
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from loadsim.scenario.checks import id_pattern
from loadsim.scenario.model import FleetModel, ScenarioModel, StageModel
from loadsim.scenario.model_csms import CsmsModel, EmbeddedModel
from loadsim.scenario.model_fields import EVERY
from loadsim.scenario.patterns import with_id
from loadsim.scenario.plan import (
    DEFAULT_TAGS,
    EmbeddedCsms,
    FaultPlan,
    FleetPlan,
    Plan,
    PlannedCall,
    Stage,
    TagClass,
    Target,
    Threshold,
    follow_up_remote_start,
)
from loadsim.scenario.resolve_calls import planned_calls, windows
from loadsim.scenario.resolve_faults import planned_faults
from loadsim.scenario.resolve_settings import charge_point_settings
from loadsim.scenario.resolved import resolved_yaml
from loadsim.scenario.scenario import Scenario

_T = TypeVar("_T")


def resolve(scenario: Scenario, *, seed: int | None = None) -> Plan:
    """Fill in the defaults of *scenario*; *seed* is stronger than its own, and without either it is random."""
    model = scenario.model
    csms = model.csms or CsmsModel()
    tag_classes = _tag_classes(scenario)
    fleets = tuple(_fleet(scenario, name, fleet, tag_classes) for name, fleet in model.fleets.items())
    stages = _stages(model, fleets)
    faults = planned_faults(model.faults or (), stages)
    embedded = None
    if csms.url is None:
        embedded = _embedded(csms.embedded or EmbeddedModel(), tag_classes, fleets, stages, faults)
    plan = Plan(
        name=model.name,
        description=model.description or "",
        seed=next((each for each in (seed, model.seed) if each is not None), secrets.randbelow(2**32)),
        target=_target(scenario, csms),
        embedded=embedded,
        tag_classes=tag_classes,
        fleets=fleets,
        stages=stages,
        faults=faults,
        thresholds=tuple(
            Threshold(
                check=each.check,
                over=each.over,
                abort=bool(each.abort),
                after=each.after or 0.0,
            )
            for each in model.thresholds or ()
        ),
    )
    outputs = model.outputs
    if outputs is None:
        return plan
    return Plan(
        **{name: getattr(plan, name) for name in plan.__struct_fields__ if name not in {"results", "files"}},
        results=_given(outputs.dir, plan.results),
        files=tuple(_given(outputs.files, list(plan.files))),
    )


def _given(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _target(scenario: Scenario, csms: CsmsModel) -> Target:
    auth, connect = csms.auth, csms.connect
    passwords = scenario.password is not None or any(
        identity.password is not None for identities in scenario.identities.values() for identity in identities
    )
    user = auth.user if auth is not None else None
    ca = auth.ca if auth is not None else None
    return Target(
        url=None if csms.url is None else with_id(csms.url),
        user=_given(user, "{id}") if passwords else None,
        password=scenario.password,
        ca=None if ca is None else str(Path(scenario.path.parent / ca).resolve()),
        connect_rate=connect.rate if connect is not None else None,
        connect_in_flight=_given(connect.in_flight if connect is not None else None, Target().connect_in_flight),
        source_addresses=tuple(csms.source_addresses or ()),
    )


def _tag_classes(scenario: Scenario) -> tuple[TagClass, ...]:
    classes = []
    for name, model in (scenario.model.id_tags or {}).items():
        expect = _given(model.expect, "Accepted")
        if name in scenario.tags:
            tags = scenario.tags[name][: model.count]
            classes.append(TagClass(name=name, expect=expect, count=len(tags), tags=tags, parent=model.parent))
        else:
            count, pattern = model.count or 0, model.pattern
            classes.append(TagClass(name=name, expect=expect, count=count, pattern=pattern, parent=model.parent))
    return tuple(classes) or (DEFAULT_TAGS,)


def _fleet(scenario: Scenario, name: str, fleet: FleetModel, tag_classes: tuple[TagClass, ...]) -> FleetPlan:
    identities = scenario.identities.get(name, ())[: fleet.count]
    total = sum(tag_class.count for tag_class in tag_classes)
    by_count = {tag_class.name: tag_class.count / total for tag_class in tag_classes}
    return FleetPlan(
        name=name,
        count=len(identities) if identities else fleet.count or 0,
        pattern=None if identities else id_pattern(fleet),
        identities=identities,
        settings=charge_point_settings(scenario.model, fleet),
        tags=dict(fleet.tags) if fleet.tags is not None else by_count,
    )


def _embedded(
    model: EmbeddedModel,
    tag_classes: tuple[TagClass, ...],
    fleets: tuple[FleetPlan, ...],
    stages: tuple[Stage, ...],
    faults: tuple[FaultPlan, ...],
) -> EmbeddedCsms:
    default = EmbeddedCsms()
    refuses = any(tag_class.expect != "Accepted" for tag_class in tag_classes)
    answers = None
    if model.tags == "known" or (model.tags is None and refuses):
        answers = {each.tag(n): each.expect for each in tag_classes for n in range(each.count)}
    calls = planned_calls(model.calls or (), tag_classes, windows(stages))
    if not any(call.send == "RemoteStartTransaction" for call in calls):
        calls += _remote_starts(fleets, tag_classes)
    return EmbeddedCsms(
        interval=int(_given(model.interval, default.interval)),
        boot_status=tuple(model.boot_status or default.boot_status),
        latency=_given(model.latency, default.latency),
        reject=_given(model.reject, default.reject),
        tags=answers,
        parents={each.tag(n): each.parent for each in tag_classes if each.parent for n in range(each.count)},
        concurrent_tx=bool(model.concurrent_tx),
        processes=_given(model.processes, default.processes),
        calls=calls,
        faults=tuple(fault for fault in faults if fault.do == "csms"),
    )


def _remote_starts(fleets: tuple[FleetPlan, ...], tag_classes: tuple[TagClass, ...]) -> tuple[PlannedCall, ...]:
    """Return the call that drivers without a card wait for, with a tag such as they carry."""
    carried: set[str] = set()
    for fleet in fleets:
        session = fleet.settings.session
        if session is not None and session.rfid < 1:
            carried.update(name for name, share in (session.tags or fleet.tags).items() if share)
    classes = [each for each in tag_classes if each.name in carried]
    good = [each for each in classes if each.expect == "Accepted"]
    return (follow_up_remote_start(tuple(good or classes)),) if carried else ()


def _stages(model: ScenarioModel, fleets: tuple[FleetPlan, ...]) -> tuple[Stage, ...]:
    online = {fleet.name: 0 for fleet in fleets}
    sessions = {fleet.name: 0.0 for fleet in fleets if fleet.settings.session is not None}
    stages = []
    for index, stage in enumerate(model.stages, start=1):
        online = online | _online(stage, fleets)
        sessions = sessions | _sessions(stage, fleets)
        stages.append(
            Stage(
                name=stage.name or f"stage-{index}",
                duration=stage.duration,
                online=online,
                sessions=sessions,
                arrivals="even" if stage.arrivals == "even" else "poisson",
                jump=bool(stage.jump),
                measure=_given(stage.measure, True),
            )
        )
    return tuple(stages)


def _online(stage: StageModel, fleets: tuple[FleetPlan, ...]) -> dict[str, int]:
    wanted = stage.online or {}
    every = wanted.get(EVERY)
    if every is None:
        return {fleet.name: wanted[fleet.name].of(fleet.count) for fleet in fleets if fleet.name in wanted}
    if every.share:
        return {fleet.name: every.of(fleet.count) for fleet in fleets}
    parts = split(int(every.value), [fleet.count for fleet in fleets])
    return {fleet.name: part for fleet, part in zip(fleets, parts, strict=True)}


def _sessions(stage: StageModel, fleets: tuple[FleetPlan, ...]) -> dict[str, float]:
    """Return the rates that *stage* sets, per second; one for all fleets is split by their connectors."""
    wanted = stage.sessions or {}
    connectors = {
        fleet.name: fleet.count * fleet.settings.connectors for fleet in fleets if fleet.settings.session is not None
    }
    every = wanted.get(EVERY)
    if every is None:
        return {name: wanted[name] for name in connectors if name in wanted}
    total = sum(connectors.values())
    return {name: float(Fraction(every) * count / total) for name, count in connectors.items()}


def split(total: int, weights: list[int]) -> list[int]:
    """Split *total* in proportion to *weights*, the rest to the largest remainders, the first of equal ones."""
    shares = [Fraction(total * weight, sum(weights)) for weight in weights]
    parts = [int(share) for share in shares]
    remainders = sorted(range(len(weights)), key=lambda index: parts[index] - shares[index])
    for index in remainders[: total - sum(parts)]:
        parts[index] += 1
    return parts


__all__ = ["resolve", "resolved_yaml", "split"]
