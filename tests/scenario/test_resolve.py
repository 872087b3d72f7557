"""A plan has every default filled in and every unit gone, and written out it reads back to itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.charge_point.distribution import Distribution, fixed, uniform
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
from loadsim.scenario.plan import EmbeddedCsms, Plan, Target
from loadsim.scenario.resolve import resolve, resolved_yaml, split
from tests.scenario.helpers import FLEETS, HEAD, STAGES, plan_of, read

FULL = """\
version: 1
name: full
description: "costs $$5, a: b"
seed: 42
csms:
  url: wss://csms.test.example/tenant-7/ocpp
  subprotocol: optional
  connect: {rate: 200/s, in_flight: 50}
  call_timeout: 20s
  source_addresses: [127.0.0.2, "::1"]
id_tags:
  drivers: {count: 20, pattern: "DRV{n:08}", parent: GROUP1}
  staff: {file: tags.csv, expect: Blocked}
fleets:
  street_ac:
    count: 40
    id: "AC-{n:05}"
    connectors: 2
    boot: {vendor: Acme, model: AC22, firmware: "1.4.2", serial: "S-{id}"}
    heartbeat: {every: 60s, regardless_of_traffic: true}
    authorize: 0.5/h
    data_transfer: {rate: 6/h, arrivals: even, vendor: org.example.meters, message: Status, size: 1.5kB}
    tags: {drivers: 98.5%, staff: 1.5%}
    reconnect: {first: 1s, factor: 1, max: 1s, jitter: 0%}
    boot_on_reconnect: true
    ping: 45s
    framing: object
    subprotocol: none
    session: commuter
    power: 7.4kW
    phases: 1
    configuration:
      TransactionMessageAttempts: 5
      StopTransactionOnInvalidId: false
      MeterValuesSampledData: [Energy.Active.Import.Register, Power.Active.Import]
    profiles: [Core, SmartCharging]
    firmware: {download: 1m..5m, install: 90s, download_failures: 5%, install_failures: 2%}
    diagnostics: {upload: {normal: 30s, sd: 10s, min: 5s, max: 2m}, failures: 1%}
    hardware:
      faults: 0.1/d
      fault_lasts: {lognormal: 10m, sigma: 0.7}
      codes: {GroundFailure: 50%, OtherError: 50%}
      power_losses: 0.01/d
      power_loss_lasts: 1m..1h
      ev_disconnects: 0.2/d
    reboot: 20s
    transfer_hosts: [Files.test.example, "::1"]
  motorway_dc:
    id: {file: ids.csv}
    heartbeat: 90s
    authorize: {rate: 60/m, arrivals: even}
    session: fast_charge
sessions:
  commuter:
    tags: {drivers: 98%, staff: 2%}
    start: {rfid: 70%, remote: 30%}
    plugged_in: {normal: 2h, sd: 40m, min: 5m}
    energy: 8kWh..40kWh
    meter_values: 30s
    no_show: 2%
    other_tag: 1%
  fast_charge:
    plugged_in: {lognormal: 25m, sigma: 0.4}
    energy: 55.5kWh
stages:
  - {name: up, for: 15m, online: {street_ac: 50%}}
  - {for: 1h30m, online: 100%, sessions: 1500/h, arrivals: even}
  - {for: 0s, online: 7, jump: true, measure: false}
  - {for: 10.5s}
faults:
  - {do: drop, during: stage-2, fleet: street_ac, rate: 0.2/h}
  - {name: outage, at: stage-2+20m, fleet: motorway_dc, share: 25%, do: drop, how: close, for: 2m}
  - {name: half_open, at: 30m, share: 1.5%, do: silent, for: 10m}
  - {name: bad_lte, during: stage-4, do: slow, latency: 200ms..2s, bandwidth: 64kbit/s, for: 5m}
  - {name: garbage, do: malformed, rate: 1/h, kinds: [huge, no_json]}
thresholds:
  - Authorize[staff] accepted == 0 during up
  - recovery[outage] < 5m
  - {check: all errors < 5%, over: 1m, abort: true, after: 2m}
outputs: {dir: there, files: [windows.csv, junit.xml]}
"""


@pytest.fixture
def full(tmp_path: Path) -> Path:
    (tmp_path / "tags.csv").write_text("tag\nA\nB\n")
    (tmp_path / "ids.csv").write_text("id\nDC1\nDC2\nDC3\n")
    return tmp_path


def test_a_full_scenario_becomes_plain_values(full: Path) -> None:
    plan = plan_of(full, FULL, seed=7)

    assert (plan.name, plan.description, plan.seed, plan.results, plan.files) == (
        "full",
        "costs $5, a: b",
        7,
        "there",
        ("windows.csv", "junit.xml"),
    )
    assert plan.target == Target(
        url="wss://csms.test.example/tenant-7/ocpp/{id}",
        connect_rate=200.0,
        connect_in_flight=50,
        source_addresses=("127.0.0.2", "::1"),
    )
    assert plan.embedded is None
    assert plan.fleets[0].settings == ChargePointSettings(
        connectors=2,
        boot=BootData(vendor="Acme", model="AC22", firmware="1.4.2", serial="S-{id}"),
        heartbeat=HeartbeatSettings(every=60.0, regardless_of_traffic=True),
        authorize=Arrivals(rate=0.5 / 3600, spacing="poisson"),
        data_transfer=DataTransferSettings(
            arrivals=Arrivals(rate=6 / 3600, spacing="even"),
            vendor_id="org.example.meters",
            message_id="Status",
            size=1500,
        ),
        reconnect=Backoff(first=1.0, factor=1.0, max=1.0, jitter=0.0),
        boot_on_reconnect=True,
        ping=45.0,
        framing="object",
        subprotocol="none",
        call_timeout=20.0,
        power=7400.0,
        phases=1,
        session=SessionSettings(
            name="commuter",
            tags={"drivers": 0.98, "staff": 0.02},
            rfid=0.7,
            plugged_in=Distribution(kind="normal", a=7200.0, b=2400.0, least=300.0),
            energy=uniform(8000.0, 40000.0),
            no_show=0.02,
            other_tag=0.01,
        ),
        configuration={
            "MeterValueSampleInterval": "30",
            "TransactionMessageAttempts": "5",
            "StopTransactionOnInvalidId": "false",
            "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import",
        },
        profiles=("Core", "SmartCharging"),
        firmware=FirmwareSettings(
            download=uniform(60.0, 300.0), install=fixed(90.0), download_failures=0.05, install_failures=0.02
        ),
        diagnostics=DiagnosticsSettings(
            upload=Distribution(kind="normal", a=30.0, b=10.0, least=5.0, most=120.0), failures=0.01
        ),
        hardware=HardwareSettings(
            faults=0.1 / 86400,
            fault_lasts=Distribution(kind="lognormal", a=600.0, b=0.7),
            codes={"GroundFailure": 0.5, "OtherError": 0.5},
            power_losses=0.01 / 86400,
            power_loss_lasts=uniform(60.0, 3600.0),
            ev_disconnects=0.2 / 86400,
        ),
        reboot=fixed(20.0),
        transfer_hosts=("files.test.example", "::1"),
    )
    assert plan.fleets[1].settings.subprotocol == "optional"
    assert plan.fleets[1].settings.authorize == Arrivals(rate=1.0, spacing="even")
    assert plan.fleets[1].settings.session == SessionSettings(
        name="fast_charge", plugged_in=Distribution(kind="lognormal", a=1500.0, b=0.4), energy=fixed(55500.0)
    )
    assert plan.fleets[1].settings.configuration == {"MeterValueSampleInterval": "60"}
    assert plan.fleets[1].count == 3


def test_stages_count_charge_points_and_keep_the_last_value(full: Path) -> None:
    stages = plan_of(full, FULL).stages

    assert [(stage.name, stage.duration, stage.online) for stage in stages] == [
        ("up", 900.0, {"street_ac": 20, "motorway_dc": 0}),
        ("stage-2", 5400.0, {"street_ac": 40, "motorway_dc": 3}),
        ("stage-3", 0.0, {"street_ac": 7, "motorway_dc": 0}),
        ("stage-4", 10.5, {"street_ac": 7, "motorway_dc": 0}),
    ]
    assert [stage.jump for stage in stages] == [False, False, True, False]
    assert [stage.measure for stage in stages] == [True, True, False, True]


def test_the_smallest_scenario_gets_every_default(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + FLEETS + STAGES)

    assert plan.target == Target()
    assert plan.embedded == EmbeddedCsms()
    assert plan.fleets[0].settings == ChargePointSettings()
    assert plan.fleets[0].identity(0).id == "a-00001"
    assert plan.fleets[0].tags == {"default": 1.0}
    assert (plan.tag_classes[0].count, plan.tag_classes[0].tag(0)) == (1000, "TAG00001")
    assert (plan.results, plan.files) == ("results", ("summary.json",))


def test_tags_default_to_all_classes_by_their_counts(tmp_path: Path) -> None:
    tags = "id_tags: {t: {count: 30, pattern: 'T{n}'}, u: {count: 10, pattern: 'U{n}'}}\n"

    assert plan_of(tmp_path, HEAD + tags + FLEETS + STAGES).fleets[0].tags == {"t": 0.75, "u": 0.25}


def test_a_seed_is_the_callers_or_the_scenarios_or_random(tmp_path: Path) -> None:
    own, none = read(tmp_path, HEAD + "seed: 5\n" + FLEETS + STAGES), read(tmp_path, HEAD + FLEETS + STAGES)

    assert (resolve(own, seed=0).seed, resolve(own).seed) == (0, 5)
    assert resolve(none).seed != resolve(none).seed


@pytest.mark.parametrize(
    ("url", "placed"),
    [
        ("ws://h", "ws://h/{id}"),
        ("ws://h/", "ws://h/{id}"),
        ("wss://h:9/ocpp/", "wss://h:9/ocpp/{id}"),
        ("ws://h/x?a=b", "ws://h/x/{id}?a=b"),
        ("ws://h/{id}/v16", "ws://h/{id}/v16"),
        ("ws://h/x?id={id}", "ws://h/x?id={id}"),
        ("ws://[::1]:8/x", "ws://[::1]:8/x/{id}"),
    ],
)
def test_the_identity_has_its_place_in_the_url(tmp_path: Path, url: str, placed: str) -> None:
    assert plan_of(tmp_path, HEAD + f"csms: {{url: '{url}'}}\n" + FLEETS + STAGES).target.url == placed


TAGS = "id_tags: {t: {count: 1, pattern: T, expect: %s}}\n"


@pytest.mark.parametrize(
    ("expect", "csms", "answers"),
    [
        ("Accepted", "", None),
        ("Blocked", "", {"T": "Blocked"}),
        ("Blocked", "csms: {embedded: {tags: any}}\n", None),
        ("Accepted", "csms: {embedded: {tags: known}}\n", {"T": "Accepted"}),
    ],
)
def test_the_embedded_csms_knows_tags_where_one_is_to_be_refused(
    tmp_path: Path, expect: str, csms: str, answers: dict[str, str] | None
) -> None:
    embedded = plan_of(tmp_path, HEAD + csms + TAGS % expect + FLEETS + STAGES).embedded

    assert embedded is not None
    assert embedded.tags == answers


def test_the_embedded_csms_behaves_as_asked(tmp_path: Path) -> None:
    keys = "interval: 10s, boot_status: [Pending, Accepted], latency: 5ms..40ms, reject: 2%"

    assert plan_of(tmp_path, HEAD + f"csms: {{embedded: {{{keys}}}}}\n" + FLEETS + STAGES).embedded == EmbeddedCsms(
        interval=10, boot_status=("Pending", "Accepted"), latency=(0.005, 0.04), reject=0.02
    )


@pytest.mark.parametrize("written", ["0/h", "none", "{rate: 0/s}"])
def test_a_rate_of_0_is_no_authorize(tmp_path: Path, written: str) -> None:
    text = HEAD + f"fleets: {{a: {{count: 1, authorize: {written}}}}}\n" + STAGES

    assert plan_of(tmp_path, text).fleets[0].settings.authorize is None


def test_a_resolved_scenario_reads_back_to_the_same_plan(full: Path) -> None:
    scenario = read(full, FULL)
    plan = resolve(scenario)

    assert plan_of(full, resolved_yaml(scenario, plan), seed=plan.seed) == plan


def test_a_resolved_scenario_has_defaults_in_readable_units(tmp_path: Path) -> None:
    scenario = read(tmp_path, HEAD + FLEETS + STAGES)
    text = resolved_yaml(scenario, resolve(scenario, seed=3))

    for line in ("seed: 3", "call_timeout: 30s", "interval: 5m", "jitter: 50%", "every: from_csms", "for: 10s"):
        assert line in text


def test_a_plan_travels_as_msgpack(full: Path) -> None:
    plan = plan_of(full, FULL)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.data())
def test_a_count_is_split_in_proportion_and_never_beyond_a_fleet(weights: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(weights)))

    parts = split(total, weights)

    assert sum(parts) == total
    assert all(abs(part - total * weight / sum(weights)) < 1 for part, weight in zip(parts, weights, strict=True))
    assert all(part <= weight for part, weight in zip(parts, weights, strict=True))


def test_a_login_resolves_to_absolute_files_and_a_hidden_password(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = HEAD + 'csms: {url: ws://h, auth: {user: me, password: "${PW}", ca: ca.pem}}\n' + FLEETS + STAGES
    scenario = read(tmp_path, text, {"PW": "hunter2"})
    plan = resolve(scenario)

    assert (plan.target.user, plan.target.password) == ("me", "hunter2")
    assert plan.target.ca == str((tmp_path / "ca.pem").resolve())
    assert f"ca: {plan.target.ca}" in resolved_yaml(scenario, plan)


def test_passwords_in_an_id_file_go_with_their_ids_and_stay_there(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id,password\nA:1,hunter2\n")
    text = HEAD + "csms: {url: ws://h, auth: {user: me}}\nfleets: {a: {id: {file: ids.csv}}}\n" + STAGES
    scenario = read(tmp_path, text)
    plan = resolve(scenario)

    assert plan.fleets[0].identity(0).password == "hunter2"
    assert "hunter2" not in resolved_yaml(scenario, plan)
    assert resolve(read(tmp_path, resolved_yaml(scenario, plan))) == plan


def test_the_values_of_a_query_are_in_the_plan_and_in_nothing_that_is_shown() -> None:
    target = Target(url="wss://csms.test.example/ocpp/{id}?token=s3cret&plain&x={id}")

    assert target.shown_url == "wss://csms.test.example/ocpp/{id}?token=***&plain&x={id}"
    assert "s3cret" not in repr(target)
