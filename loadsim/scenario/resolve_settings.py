"""What the charge points of a fleet are and do, from its keys: every default filled in."""

from __future__ import annotations

from typing import Any

from loadsim.charge_point.settings import (
    Arrivals,
    Backoff,
    BootData,
    ChargePointSettings,
    DataTransferSettings,
    DiagnosticsSettings,
    FirmwareSettings,
    HardwareSettings,
    HeartbeatSettings,
    SessionSettings,
)
from loadsim.scenario.model import AuthorizeModel, DataTransferModel, FleetModel, ScenarioModel
from loadsim.scenario.model_csms import CsmsModel
from loadsim.scenario.model_part import Part
from loadsim.scenario.model_sessions import SessionModel

SAMPLE_INTERVAL_KEY = "MeterValueSampleInterval"
SAMPLE_INTERVAL = 60.0
"""Seconds between the sampled MeterValues of a session that says nothing else."""


def charge_point_settings(model: ScenarioModel, fleet: FleetModel) -> ChargePointSettings:
    """Return the settings of *fleet*'s charge points."""
    csms = model.csms or CsmsModel()
    own: dict[str, Any] = {
        "connectors": fleet.connectors,
        "boot": BootData(**_given(fleet.boot)),
        "authorize": _arrivals(fleet.authorize),
        "data_transfer": _data_transfer(fleet.data_transfer),
        "reconnect": Backoff(**_given(fleet.reconnect)),
        "boot_on_reconnect": fleet.boot_on_reconnect,
        "ping": fleet.ping,
        "framing": fleet.framing,
        "subprotocol": fleet.subprotocol or csms.subprotocol,
        "call_timeout": csms.call_timeout,
        "power": fleet.power,
        "phases": fleet.phases,
        "configuration": _configuration(model, fleet),
        "firmware": FirmwareSettings(**_given(fleet.firmware)),
        "diagnostics": DiagnosticsSettings(**_given(fleet.diagnostics)),
        "hardware": HardwareSettings(**_given(fleet.hardware)),
        "reboot": fleet.reboot,
    }
    if fleet.heartbeat is not None:
        beats = bool(fleet.heartbeat.regardless_of_traffic)
        own["heartbeat"] = HeartbeatSettings(every=fleet.heartbeat.every, regardless_of_traffic=beats)
    if fleet.session is not None:
        own["session"] = _session(fleet.session, (model.sessions or {})[fleet.session])
    if fleet.profiles is not None:
        own["profiles"] = tuple(fleet.profiles)
    if fleet.transfer_hosts is not None:
        own["transfer_hosts"] = tuple(fleet.transfer_hosts)
    return ChargePointSettings(**{name: value for name, value in own.items() if value is not None})


def _arrivals(model: AuthorizeModel | DataTransferModel | None) -> Arrivals | None:
    if model is None or not model.rate:
        return None
    return Arrivals(rate=model.rate, spacing="even" if model.arrivals == "even" else "poisson")


def _data_transfer(model: DataTransferModel | None) -> DataTransferSettings | None:
    arrivals = _arrivals(model)
    if model is None or arrivals is None:
        return None
    given: dict[str, Any] = {"vendor_id": model.vendor, "message_id": model.message, "size": model.size}
    return DataTransferSettings(
        arrivals=arrivals, **{name: value for name, value in given.items() if value is not None}
    )


def _session(name: str, session: SessionModel) -> SessionSettings:
    """Return what the session *name* is, but for its sampling interval, which is the charge point's."""
    own = _given(session)
    start, _ = own.pop("start", None), own.pop("meter_values", None)
    if start is not None:
        own["rfid"] = start.rfid or 0.0
    return SessionSettings(name=name, **own)


def _configuration(model: ScenarioModel, fleet: FleetModel) -> dict[str, str]:
    own = dict(fleet.configuration or {})
    if fleet.session is None:
        return own
    return {SAMPLE_INTERVAL_KEY: f"{sample_interval(model, fleet.session):.0f}"} | own


def sample_interval(model: ScenarioModel, session: str) -> float:
    """Return the seconds between the MeterValues of *session*, where the fleet's configuration is silent."""
    every = (model.sessions or {})[session].meter_values
    return SAMPLE_INTERVAL if every is None else every


def _given(part: Part | None) -> dict[str, Any]:
    """Return the keys of *part* that stand in the scenario."""
    return {} if part is None else {name: value for name, value in part if value is not None}
