"""The full scenario, as the grammar was designed with it: it reads, and becomes exactly this plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadsim.charge_point.distribution import Distribution, uniform
from loadsim.charge_point.settings import Arrivals, Backoff, BootData, ChargePointSettings, SessionSettings
from loadsim.scenario.plan import (
    FaultPlan,
    FleetPlan,
    Identity,
    Plan,
    Stage,
    TagClass,
    Target,
    Threshold,
)
from loadsim.scenario.resolve import resolve, resolved_yaml
from tests.scenario.helpers import messages_in, plan_of, read

WHOLE = """\
# yaml-language-server: $schema=./scenario-v1.schema.json
version: 1
name: evening-peak
description: 5,000 charge points come online, evening peak, CSMS restart, 8 h soak
seed: 42                                  # same ids, tags, arrivals
csms:
  url: ${CSMS_URL:-wss://csms.test.example/ocpp}   # the id is appended, or put where {id} stands, percent-encoded
  auth: {user: "{id}", password: "${CSMS_PASSWORD}", ca: certs/ca.pem}
  connect: {rate: 200/s, in_flight: 100}           # caps; a shortfall against the stages is reported
  call_timeout: 30s
  source_addresses: [127.0.0.2, 127.0.0.3]         # about 28k sockets an address
id_tags:
  drivers: {count: 20000, pattern: "DRV{n:08}", expect: Accepted}
  stolen:  {count: 50,    pattern: "BLK{n:04}", expect: Blocked}
  staff:   {file: tags.csv, expect: Accepted}      # a staging CSMS knows only provisioned tags
fleets:
  street_ac:
    count: 4000
    id: "AC-{n:05}"
    connectors: 2
    boot: {vendor: Acme, model: AC22, firmware: "1.4.2"}
    heartbeat: from_csms                  # or 60s, or {every: from_csms, regardless_of_traffic: true}
    authorize: 0.5/h                      # each charge point, besides its sessions; poisson
    session: commuter
    configuration: {TransactionMessageAttempts: 3, StopTransactionOnInvalidId: true}   # initial values
    reconnect: {first: 5s, factor: 2, max: 5m, jitter: 50%}
  motorway_dc:
    id: {file: ids.csv}                   # columns id, password: what the CSMS was provisioned with
    connectors: 2
    session: fast_charge
    reconnect: {first: 1s, factor: 1, max: 1s, jitter: 0%}   # bad firmware
sessions:
  commuter:
    tags: {drivers: 98%, stolen: 2%}
    start: {rfid: 70%, remote: 30%}       # remote: waits for RemoteStartTransaction
    plugged_in: {normal: 2h, sd: 40m, min: 5m}
    energy: 8kWh..40kWh                   # a..b: uniform
    meter_values: 60s
  fast_charge:
    tags: {drivers: 100%}
    plugged_in: {lognormal: 25m, sigma: 0.4}
    energy: 20kWh..70kWh
    meter_values: 15s
stages:                                   # linear from the last value; jump: at once
  - {name: rollout, for: 15m, online: 100%}
  - {name: warm,    for: 10m, sessions: 1500/h, measure: false}
  - {name: peak,    for: 1h,  sessions: 6000/h, arrivals: poisson}
  - {name: soak,    for: 8h,  sessions: 2000/h, jump: true}
faults:
  - {name: lte_drops,    during: peak, fleet: street_ac, do: drop, rate: 0.2/h}
  - {name: site_outage,  at: peak+20m, fleet: motorway_dc, share: 25%, do: drop, for: 2m}
  - {name: csms_restart, at: peak+40m, do: drop}             # everybody at once
  - {name: half_open,    at: soak+1h,  share: 1%, do: silent, for: 10m}
thresholds:
  - BootNotification p95 < 2s during rollout
  - Authorize p99 < 800ms during peak
  - Authorize[drivers] rejected < 0.1%
  - Authorize[stolen] accepted == 0
  - online >= 99.5% during soak
  - transactions lost == 0
  - recovery[csms_restart] < 5m
  - Heartbeat p95 drift < 10% during soak  # last third against first third
  - {check: all errors < 5%, over: 1m, abort: true, after: 2m}
outputs:
  dir: results
  files: [summary.json, report.html, junit.xml, hlog]
  prometheus: {listen: 127.0.0.1:9464}
"""
BUILT = (
    WHOLE.replace("report.html, ", "").replace(", hlog", "").replace("  prometheus: {listen: 127.0.0.1:9464}\n", "")
)
ENVIRON = {"CSMS_PASSWORD": "hunter2"}
ONLINE = {"street_ac": 4000, "motorway_dc": 1000}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "tags.csv").write_text("tag\nSTAFF1\nSTAFF2\n")
    rows = "".join(f"DC{n:04},secret-{n}\n" for n in range(1, 1001))
    (tmp_path / "ids.csv").write_text(f"id,password\n{rows}")
    return tmp_path


def split(per_hour: int) -> dict[str, float]:
    """Return the rates a second of the fleets, which have 8,000 and 2,000 connectors."""
    return {"street_ac": per_hour / 3600 * 0.8, "motorway_dc": per_hour / 3600 * 0.2}


def rates(stages: tuple[Stage, ...]) -> list[dict[str, float]]:
    return [stage.sessions for stage in stages]


def test_what_a_later_version_builds_is_refused_and_nothing_else(folder: Path) -> None:
    assert messages_in(folder, WHOLE, ENVIRON) == [
        "66:25 outputs.files[1]: 'report.html' is not in this version",
        "66:49 outputs.files[3]: 'hlog' is not in this version",
        "67:3 outputs.prometheus: 'prometheus' is not in this version",
    ]


def test_the_rest_becomes_exactly_this_plan_without_a_warning(folder: Path) -> None:
    scenario = read(folder, BUILT, ENVIRON)
    plan = resolve(scenario)
    tags = {"drivers": 20000 / 20052, "stolen": 50 / 20052, "staff": 2 / 20052}

    assert [str(each) for each in scenario.warnings] == []
    assert rates(plan.stages) == [pytest.approx(split(rate), abs=1e-12) for rate in (0, 1500, 6000, 2000)]
    assert plan == Plan(
        name="evening-peak",
        description="5,000 charge points come online, evening peak, CSMS restart, 8 h soak",
        seed=42,
        target=Target(
            url="wss://csms.test.example/ocpp/{id}",
            user="{id}",
            password="hunter2",
            ca=str((folder / "certs" / "ca.pem").resolve()),
            connect_rate=200.0,
            connect_in_flight=100,
            source_addresses=("127.0.0.2", "127.0.0.3"),
        ),
        tag_classes=(
            TagClass(name="drivers", count=20000, pattern="DRV{n:08}"),
            TagClass(name="stolen", count=50, pattern="BLK{n:04}", expect="Blocked"),
            TagClass(name="staff", count=2, tags=("STAFF1", "STAFF2")),
        ),
        fleets=(
            FleetPlan(
                name="street_ac",
                count=4000,
                pattern="AC-{n:05}",
                tags=tags,
                settings=ChargePointSettings(
                    connectors=2,
                    boot=BootData(vendor="Acme", model="AC22", firmware="1.4.2"),
                    authorize=Arrivals(rate=0.5 / 3600, spacing="poisson"),
                    reconnect=Backoff(first=5.0, factor=2.0, max=300.0, jitter=0.5),
                    session=SessionSettings(
                        name="commuter",
                        tags={"drivers": 0.98, "stolen": 0.02},
                        rfid=0.7,
                        plugged_in=Distribution(kind="normal", a=7200.0, b=2400.0, least=300.0),
                        energy=uniform(8000.0, 40000.0),
                    ),
                    configuration={
                        "MeterValueSampleInterval": "60",
                        "TransactionMessageAttempts": "3",
                        "StopTransactionOnInvalidId": "true",
                    },
                ),
            ),
            FleetPlan(
                name="motorway_dc",
                count=1000,
                identities=tuple(Identity(f"DC{n:04}", f"secret-{n}") for n in range(1, 1001)),
                tags=tags,
                settings=ChargePointSettings(
                    connectors=2,
                    reconnect=Backoff(first=1.0, factor=1.0, max=1.0, jitter=0.0),
                    session=SessionSettings(
                        name="fast_charge",
                        tags={"drivers": 1.0},
                        plugged_in=Distribution(kind="lognormal", a=1500.0, b=0.4),
                        energy=uniform(20000.0, 70000.0),
                    ),
                    configuration={"MeterValueSampleInterval": "15"},
                ),
            ),
        ),
        stages=(
            Stage(name="rollout", duration=900.0, online=ONLINE, sessions=plan.stages[0].sessions),
            Stage(name="warm", duration=600.0, online=ONLINE, sessions=plan.stages[1].sessions, measure=False),
            Stage(name="peak", duration=3600.0, online=ONLINE, sessions=plan.stages[2].sessions),
            Stage(name="soak", duration=28800.0, online=ONLINE, sessions=plan.stages[3].sessions, jump=True),
        ),
        faults=(
            FaultPlan(
                name="lte_drops",
                do="drop",
                how="reset",
                fleet="street_ac",
                rate=0.2 / 3600,
                begin=1500.0,
                end=5100.0,
            ),
            FaultPlan(
                name="site_outage",
                do="drop",
                how="reset",
                fleet="motorway_dc",
                share=0.25,
                at=2700.0,
                duration=120.0,
            ),
            FaultPlan(name="csms_restart", do="drop", how="reset", at=3900.0),
            FaultPlan(name="half_open", do="silent", share=0.01, at=8700.0, duration=600.0),
        ),
        thresholds=(
            Threshold(check="BootNotification p95 < 2s during rollout"),
            Threshold(check="Authorize p99 < 800ms during peak"),
            Threshold(check="Authorize[drivers] rejected < 0.1%"),
            Threshold(check="Authorize[stolen] accepted == 0"),
            Threshold(check="online >= 99.5% during soak"),
            Threshold(check="transactions lost == 0"),
            Threshold(check="recovery[csms_restart] < 5m"),
            Threshold(check="Heartbeat p95 drift < 10% during soak"),
            Threshold(check="all errors < 5%", over=60.0, abort=True, after=120.0),
        ),
        results="results",
        files=("summary.json", "junit.xml"),
    )


def test_it_reads_back_to_the_same_plan(folder: Path) -> None:
    scenario = read(folder, BUILT, ENVIRON)
    plan = resolve(scenario)
    written = resolved_yaml(scenario, plan)

    assert "hunter2" not in written
    assert "secret-" not in written
    assert plan_of(folder, written.replace("'***'", '"${CSMS_PASSWORD}"'), ENVIRON, seed=42) == plan


def test_the_variable_says_where_the_csms_is(folder: Path) -> None:
    plan = plan_of(folder, BUILT, {**ENVIRON, "CSMS_URL": "ws://localhost:9000/{id}/v16"})

    assert plan.target.url == "ws://localhost:9000/{id}/v16"
