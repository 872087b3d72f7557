"""What the keys of sessions, fleets and stages must be together, so that cars can come and charge."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.util import find_spec

from loadsim.charge_point.settings import SECURITY_PROFILE
from loadsim.scenario.model import FleetModel, ScenarioModel, StageModel
from loadsim.scenario.model_calls import CallModel
from loadsim.scenario.model_fields import EVERY
from loadsim.scenario.model_sessions import SessionModel
from loadsim.scenario.places import KeyPath, Places, unknown
from loadsim.scenario.resolve_settings import SAMPLE_INTERVAL_KEY

ConfigurationProblem = Callable[[str, str], str | None]
"""Says what is wrong with (name, value) of a configuration key, or None."""


def check_session_kinds(
    model: ScenarioModel, places: Places, classes: Collection[str], problem: ConfigurationProblem | None
) -> None:
    """Report what is wrong within ``sessions``; *classes* are the names of the tag classes."""
    for name, session in (model.sessions or {}).items():
        path: KeyPath = ("sessions", name)
        if session.tags is not None:
            check_tag_shares(places, (*path, "tags"), session.tags, classes)
        if session.start is not None:
            start = {"rfid": session.start.rfid or 0.0, "remote": session.start.remote or 0.0}
            check_sum(places, (*path, "start"), start)
        _check_times(session, places, path, problem)
    if places.broken("fleets"):
        return  # a fleet that was to have one may be among what is wrong
    chosen = {fleet.session for fleet in model.fleets.values()}
    for name in places.keys("sessions"):
        if name not in chosen:
            places.report(("sessions", name), f"no fleet has this session; give one 'session: {name}'", key=True)


def _check_times(session: SessionModel, places: Places, path: KeyPath, problem: ConfigurationProblem | None) -> None:
    every = session.meter_values
    if every is not None and every % 1:
        places.report((*path, "meter_values"), f"expected whole seconds, as {SAMPLE_INTERVAL_KEY} has them")
    elif every is not None and problem is not None:
        found = problem(SAMPLE_INTERVAL_KEY, f"{every:.0f}")
        if found is not None:
            places.report((*path, "meter_values"), f"as {SAMPLE_INTERVAL_KEY}: {found}")
    stay = session.plugged_in
    if stay is not None and stay.a == 0 and stay.kind != "normal" and (stay.kind != "uniform" or stay.b == 0):
        places.report((*path, "plugged_in"), "expected more than 0")


def check_tag_shares(places: Places, path: KeyPath, shares: Mapping[str, float], classes: Collection[str]) -> None:
    """Report tag classes that are not there, and shares that are not 100% in all."""
    for name in shares:
        if name not in classes:
            places.report((*path, name), unknown("tag class", name, classes), key=True)
    check_sum(places, path, shares)


def check_sum(places: Places, path: KeyPath, shares: Mapping[str, float]) -> None:
    """Report shares that are not 100% in all, unless one of them is wrong already."""
    total = math.fsum(shares.values())
    if not math.isclose(total, 1.0, abs_tol=1e-9) and not places.broken(*path):
        places.report(path, f"expected shares of 100% in all, got {total * 100:.6g}%", key=True)


def check_fleet(model: ScenarioModel, places: Places, name: str, problem: ConfigurationProblem | None) -> None:
    """Report what is wrong between the keys that say what a fleet's charge points are made of."""
    fleet: FleetModel = model.fleets[name]
    path: KeyPath = ("fleets", name)
    kinds = places.keys("sessions")
    if fleet.session is not None and fleet.session not in kinds:
        places.report((*path, "session"), unknown("session", fleet.session, kinds))
    for key, value in (fleet.configuration or {}).items():
        found = problem(key, value) if problem is not None else None
        if found is not None:
            places.report((*path, "configuration", key), found)
    _check_profiles(fleet, places, (*path, "profiles"))
    if fleet.firmware is not None:
        failures = (fleet.firmware.download_failures or 0.0) + (fleet.firmware.install_failures or 0.0)
        if failures > 1 + 1e-9:
            places.report(
                (*path, "firmware"), f"expected failures of at most 100% in all, got {failures * 100:.6g}%", key=True
            )
    if fleet.hardware is not None and fleet.hardware.codes is not None:
        check_sum(places, (*path, "hardware", "codes"), fleet.hardware.codes)


def _check_profiles(fleet: FleetModel, places: Places, path: KeyPath) -> None:
    profiles = fleet.profiles
    if profiles is None:
        return
    for index, profile in enumerate(profiles):
        if profile in profiles[:index] and not places.broken(*path):
            places.report((*path, index), f"the profile '{profile}' stands here twice")
    if "Core" not in profiles and not places.broken(*path):
        places.report(path, "expected Core among them: no charge point of OCPP 1.6 is without it", key=True)
    if SECURITY_PROFILE in profiles and find_spec("cryptography") is None:
        places.report(path, "Security needs the package cryptography: pip install cryptography", key=True)


def check_remote_starts(
    model: ScenarioModel, places: Places, calls: Sequence[CallModel], identities: Mapping[str, Iterable[str]]
) -> None:
    """Report fleets whose drivers wait for a remote start, and none of the planned ones is for them.

    Where *calls* have no remote start at all, whoever waits gets one. *identities* are those of each fleet.
    """
    globs = [call.to or "*" for call in calls if call.send == "RemoteStartTransaction"]
    for name, fleet in model.fleets.items() if globs else ():
        session = (model.sessions or {}).get(fleet.session or "")  # a wrong one is not among them
        if session is None or session.start is None or not session.start.remote or not _come(model, name):
            continue
        if not any(fnmatchcase(identity, glob) for identity in identities.get(name, ()) for glob in globs):
            places.report(
                ("fleets", name, "session"),
                "its drivers wait for a remote start, and the 'to' of no RemoteStartTransaction in "
                "csms.embedded.calls matches a charge point of this fleet",
            )


def _come(model: ScenarioModel, fleet: str) -> bool:
    """Tell whether a stage brings sessions to *fleet*."""
    rates = [stage.sessions or {} for stage in model.stages]
    return any(each.get(fleet) or each.get(EVERY) for each in rates)


def check_stage_sessions(places: Places, path: KeyPath, stage: StageModel) -> None:
    """Report sessions that a stage brings to nobody."""
    if stage.sessions is None:
        return
    fleets = places.keys("fleets")
    charging = [name for name in fleets if "session" in places.keys("fleets", name)]
    for name in stage.sessions:
        place = (*path, "sessions", name)
        if name == EVERY and EVERY not in places.keys(*path, "sessions"):
            if not charging and not places.broken("fleets"):
                places.report((*path, "sessions"), "no fleet has a session; give one the key 'session'", key=True)
        elif name not in fleets:
            places.report(place, unknown("fleet", name, fleets), key=True)
        elif name not in charging:
            places.report(place, f"the fleet '{name}' has no session; give it the key 'session'", key=True)
