"""What the charge points of a fleet are and do, written as the keys of a scenario, every default among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from loadsim.charge_point.distribution import Distribution
from loadsim.charge_point.settings import ChargePointSettings, DataTransferSettings, SessionSettings
from loadsim.scenario.model import ScenarioModel
from loadsim.scenario.plan import Plan
from loadsim.scenario.resolve_settings import sample_interval
from loadsim.units import duration_text, energy_text, power_text, rate_text, share_text, size_text


def sessions_keys(model: ScenarioModel, plan: Plan) -> dict[str, Any]:
    """Return ``sessions``: those that a fleet has."""
    kinds = [fleet.settings.session for fleet in plan.fleets]
    return {kind.name: _session(model, kind) for kind in kinds if kind is not None}


def _session(model: ScenarioModel, session: SessionSettings) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if session.tags:
        data["tags"] = _shares(session.tags)
    return data | {
        "start": {"rfid": share_text(session.rfid), "remote": share_text(round(1 - session.rfid, 12))},
        "plugged_in": _spread(session.plugged_in, duration_text),
        "energy": _spread(session.energy, energy_text),
        "meter_values": duration_text(sample_interval(model, session.name)),
        "no_show": share_text(session.no_show),
        "other_tag": share_text(session.other_tag),
    }


def settings_keys(settings: ChargePointSettings) -> dict[str, Any]:
    """Return the keys of a fleet that say what its charge points do."""
    authorize: Any = "none"
    if settings.authorize is not None:
        authorize = {"rate": rate_text(settings.authorize.rate), "arrivals": settings.authorize.spacing}
    every = settings.heartbeat.every
    boot = {name: getattr(settings.boot, name) for name in settings.boot.__struct_fields__}
    data: dict[str, Any] = {
        "connectors": settings.connectors,
        "boot": {name: value for name, value in boot.items() if value is not None},
        "heartbeat": {
            "every": "from_csms" if every is None else duration_text(every),
            "regardless_of_traffic": settings.heartbeat.regardless_of_traffic,
        },
        "authorize": authorize,
        "data_transfer": "none" if settings.data_transfer is None else _data_transfer(settings.data_transfer),
        "reconnect": {
            "first": duration_text(settings.reconnect.first),
            "factor": settings.reconnect.factor,
            "max": duration_text(settings.reconnect.max),
            "jitter": share_text(settings.reconnect.jitter),
        },
        "boot_on_reconnect": settings.boot_on_reconnect,
        "ping": "none" if settings.ping is None else duration_text(settings.ping),
        "framing": settings.framing,
        "subprotocol": settings.subprotocol,
    }
    return data | ({} if settings.session is None else {"session": settings.session.name}) | _hardware_keys(settings)


def _data_transfer(settings: DataTransferSettings) -> dict[str, Any]:
    return {
        "rate": rate_text(settings.arrivals.rate),
        "arrivals": settings.arrivals.spacing,
        "vendor": settings.vendor_id,
        **({} if settings.message_id is None else {"message": settings.message_id}),
        "size": size_text(settings.size),
    }


def _hardware_keys(settings: ChargePointSettings) -> dict[str, Any]:
    firmware, hardware = settings.firmware, settings.hardware
    return {
        "power": power_text(settings.power),
        "phases": settings.phases,
        "configuration": dict(settings.configuration),
        "profiles": list(settings.profiles),
        "firmware": {
            "download": _spread(firmware.download, duration_text),
            "install": _spread(firmware.install, duration_text),
            "download_failures": share_text(firmware.download_failures),
            "install_failures": share_text(firmware.install_failures),
        },
        "diagnostics": {
            "upload": _spread(settings.diagnostics.upload, duration_text),
            "failures": share_text(settings.diagnostics.failures),
        },
        "hardware": {
            "faults": rate_text(hardware.faults),
            "fault_lasts": _spread(hardware.fault_lasts, duration_text),
            "codes": _shares(hardware.codes),
            "power_losses": rate_text(hardware.power_losses),
            "power_loss_lasts": _spread(hardware.power_loss_lasts, duration_text),
            "ev_disconnects": rate_text(hardware.ev_disconnects),
        },
        "reboot": _spread(settings.reboot, duration_text),
        "transfer_hosts": list(settings.transfer_hosts),
    }


def _shares(shares: dict[str, float]) -> dict[str, str]:
    return {name: share_text(share) for name, share in shares.items()}


def _spread(spread: Distribution, text: Callable[[float], str]) -> str | dict[str, Any]:
    if spread.kind == "fixed":
        return text(spread.a)
    if spread.kind == "uniform":
        return f"{text(spread.a)}..{text(spread.b)}"
    if spread.kind == "lognormal":
        return {"lognormal": text(spread.a), "sigma": spread.b}
    data = {"normal": text(spread.a), "sd": text(spread.b), "min": text(spread.least)}
    return data if spread.most == math.inf else data | {"max": text(spread.most)}
