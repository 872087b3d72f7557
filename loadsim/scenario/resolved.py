"""A scenario as it is run: every default written out, secrets as ``***``, in the grammar it was written in."""

from __future__ import annotations

from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from loadsim.charge_point.settings import ChargePointSettings
from loadsim.scenario.model import ScenarioModel
from loadsim.scenario.plan import FleetPlan, Plan, Stage, TagClass, Threshold
from loadsim.scenario.resolve_calls import calls_keys
from loadsim.scenario.resolve_faults import faults_keys
from loadsim.scenario.resolved_settings import sessions_keys, settings_keys
from loadsim.scenario.scenario import Scenario
from loadsim.units import duration_text, rate_text, share_text

HIDDEN = "***"


def resolved_yaml(scenario: Scenario, plan: Plan) -> str:
    """Write *plan*, made of *scenario*, as a scenario with every default filled in.

    Without a password it reads back to the same plan from the folder of *scenario*.
    """
    model = scenario.model
    data: dict[str, Any] = {"version": 1, "name": plan.name, "description": plan.description, "seed": plan.seed}
    data["csms"] = _csms(model, plan)
    data["id_tags"] = {each.name: _tag_class(model, each) for each in plan.tag_classes}
    data["fleets"] = {fleet.name: _fleet(model, fleet) for fleet in plan.fleets}
    sessions = sessions_keys(model, plan)
    if sessions:
        data["sessions"] = sessions
    data["stages"] = [_stage(stage) for stage in plan.stages]
    if plan.faults:
        data["faults"] = faults_keys(plan.faults, plan.stages)
    data["thresholds"] = [_threshold(threshold) for threshold in plan.thresholds]
    data["outputs"] = {"dir": plan.results, "files": list(plan.files)}
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 110
    stream = StringIO()
    yaml.dump(_escaped(data, scenario.password), stream)
    return stream.getvalue()


def _csms(model: ScenarioModel, plan: Plan) -> dict[str, Any]:
    target, csms, settings = plan.target, model.csms, plan.fleets[0].settings
    data: dict[str, Any] = {}
    if target.url is not None:
        data["url"] = target.shown_url
    data["subprotocol"] = (csms.subprotocol if csms is not None else None) or ChargePointSettings().subprotocol
    auth = csms.auth if csms is not None else None
    login: dict[str, Any] = {}
    if target.password is not None:
        login |= {"user": target.user, "password": HIDDEN}
    elif target.user is not None and auth is not None and auth.user is not None:
        login["user"] = target.user
    if target.ca is not None:
        login["ca"] = target.ca
    if login:
        data["auth"] = login
    data["connect"] = {"in_flight": target.connect_in_flight}
    if target.connect_rate is not None:
        data["connect"]["rate"] = rate_text(target.connect_rate)
    data["call_timeout"] = duration_text(settings.call_timeout)
    data["source_addresses"] = list(target.source_addresses)
    if plan.embedded is not None:
        low, high = plan.embedded.latency
        data["embedded"] = {
            "interval": duration_text(plan.embedded.interval),
            "boot_status": list(plan.embedded.boot_status),
            "latency": f"{duration_text(low)}..{duration_text(high)}",
            "reject": share_text(plan.embedded.reject),
            "tags": "any" if plan.embedded.tags is None else "known",
            "concurrent_tx": plan.embedded.concurrent_tx,
            "processes": plan.embedded.processes,
            "calls": calls_keys(plan.embedded.calls),
        }
    return data


def _tag_class(model: ScenarioModel, plan: TagClass) -> dict[str, Any]:
    data: dict[str, Any] = {"count": plan.count, "expect": plan.expect}
    if plan.parent is not None:
        data["parent"] = plan.parent
    if plan.pattern is not None:
        return data | {"pattern": plan.pattern}
    return data | {"file": (model.id_tags or {})[plan.name].file}


def _fleet(model: ScenarioModel, plan: FleetPlan) -> dict[str, Any]:
    source = model.fleets[plan.name].id
    file = source.file if source is not None else None
    return {
        "count": plan.count,
        "id": plan.pattern if file is None else {"file": file},
        "tags": {name: share_text(share) for name, share in plan.tags.items()},
        **settings_keys(plan.settings),
    }


def _stage(stage: Stage) -> dict[str, Any]:
    sessions = {name: rate_text(rate) for name, rate in stage.sessions.items()}
    return {
        "name": stage.name,
        "for": duration_text(stage.duration),
        "online": dict(stage.online),
        **({"sessions": sessions} if sessions else {}),
        "arrivals": stage.arrivals,
        "jump": stage.jump,
        "measure": stage.measure,
    }


def _threshold(threshold: Threshold) -> str | dict[str, Any]:
    data: dict[str, Any] = {"check": threshold.check}
    if threshold.over is not None:
        data["over"] = duration_text(threshold.over)
    if threshold.abort:
        data["abort"] = True
    if threshold.after:
        data["after"] = duration_text(threshold.after)
    return data if len(data) > 1 else threshold.check


def _escaped(value: Any, secret: str | None) -> Any:
    """Return *value* with every plain '$' doubled, so that reading it back fills nothing in."""
    if isinstance(value, dict):
        return {key: _escaped(item, secret) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item, secret) for item in value]
    if not isinstance(value, str):
        return value
    hidden = value.replace(secret, HIDDEN) if secret is not None and len(secret) > 3 else value
    return hidden.replace("$", "$$")
