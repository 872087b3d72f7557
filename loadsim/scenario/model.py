"""The grammar of a scenario file, version 1: what keys there are, what each takes, and what it means.

None stands for "not given"; `resolve` fills in the defaults. The descriptions end up in the JSON Schema that
editors show. Checks that need more than one key are in `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from loadsim.scenario.model_csms import CsmsModel
from loadsim.scenario.model_faults import FaultModel
from loadsim.scenario.model_fields import (
    EVERY,
    NAME,
    ON_LINE,
    RATE_OR_NONE,
    SECONDS_OR_CSMS,
    VARIABLE,
    Factor,
    FilePath,
    Flag,
    Name,
    OnlineAmount,
    RateOrNone,
    Reads,
    Seconds,
    SecondsOrCsms,
    SecondsOrNone,
    Share,
    Shorthand,
    Size,
    SomeSeconds,
    Text,
    described,
    one_of,
    read_text,
    text,
    typed,
    whole,
)
from loadsim.scenario.model_hardware import (
    Configuration,
    DiagnosticsModel,
    FirmwareModel,
    HardwareModel,
    Host,
    Phases,
    Power,
    Profiles,
)
from loadsim.scenario.model_part import Part
from loadsim.scenario.model_sessions import SessionModel, SessionRates
from loadsim.scenario.model_spread import Durations
from loadsim.scenario.model_thresholds import Thresholds
from loadsim.scenario.patterns import tag_problem

MOST_CHARGE_POINTS = 1_000_000
MOST_TAGS = 1_000_000
EXPECTATIONS = ("Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx")
WRITTEN = (
    "summary.json",
    "windows.csv",
    "sessions.csv",
    "commands.csv",
    "connections.csv",
    "faults.csv",
    "errors.jsonl",
    "generator.csv",
    "junit.xml",
    "run.json",
    "scenario.yaml",
    "resolved.yaml",
)
LATER_FILES = ("report.html", "hlog")
LATER: tuple[tuple[str, ...], ...] = (("outputs", "prometheus"),)
"""Keys of the whole grammar that this version does not build: refused, never ignored."""
ELSEWHERE: Mapping[tuple[str | int, ...], str] = {
    ("embedded",): "csms.embedded",
    ("calls",): "csms.embedded.calls",
    ("csms", "calls"): "csms.embedded.calls",
}
"""Where keys stand that are looked for at these places."""


def _version(value: Any) -> int:
    if typed(value) != 1 or isinstance(value, bool):
        raise ValueError(f"expected 1, the only version of the grammar so far; got {described(value)}")
    return 1


def _parent(value: Any) -> str:
    tag = read_text(value)
    problem = tag_problem(tag)
    if problem is not None:
        raise ValueError(problem)
    return tag


def _file(value: Any) -> str:
    if value in LATER_FILES:
        raise ValueError(f"'{value}' is not in this version")
    if value not in WRITTEN:
        raise ValueError(f"expected one of {', '.join(WRITTEN)}; got {described(value)}")
    return str(value)


def _cistring(longest: int) -> Reads:
    return text(r"[^\x00-\x1f\x7f]+", "text without control characters", "AC22", longest)


class TagClassModel(Part):
    """Id tags that belong together: count and pattern, or a file."""

    count: Annotated[int, whole(1, MOST_TAGS)] | None = Field(default=None, description="How many tags.")
    pattern: Text | None = Field(
        default=None,
        description="Tag n, from 1: {n}, or padded {n:05}. At most 20 characters.",
        examples=["DRV{n:08}"],
    )
    file: FilePath | None = Field(default=None, description="CSV file with a column named tag (or id_tag).")
    expect: Annotated[str, one_of(*EXPECTATIONS)] | None = Field(
        default=None, description="The status that the CSMS is to answer. Default: Accepted."
    )
    parent: Annotated[str, Reads(_parent, {"type": "string", "pattern": rf"^.{{1,20}}$|{VARIABLE}"})] | None = Field(
        default=None,
        description="parentIdTag that the embedded CSMS gives them: one may end what another began.",
        examples=["GROUP1"],
    )


class IdModel(Part):
    """Where identities come from: a pattern, or a file of those a CSMS was provisioned with."""

    pattern: Text | None = Field(default=None, description="Identity n, from 1: {n} or {n:05}, and {fleet}.")
    file: FilePath | None = Field(
        default=None, description="CSV file with a column id, and password where each has one."
    )


class BootModel(Part):
    """What a charge point says of itself (BootNotification.req, OCPP 1.6 section 6.3)."""

    vendor: Annotated[str, _cistring(20)] | None = Field(
        default=None, description="chargePointVendor. Default: loadsim."
    )
    model: Annotated[str, _cistring(20)] | None = Field(
        default=None, description="chargePointModel. Default: virtual."
    )
    firmware: Annotated[str, _cistring(50)] | None = Field(default=None, description="firmwareVersion.")
    serial: Annotated[str, _cistring(25)] | None = Field(
        default=None, description="chargePointSerialNumber; {id} stands for the identity."
    )
    box_serial: Annotated[str, _cistring(25)] | None = Field(
        default=None, description="chargeBoxSerialNumber; {id} stands for the identity."
    )
    iccid: Annotated[str, _cistring(20)] | None = Field(default=None, description="iccid of the modem's SIM card.")
    imsi: Annotated[str, _cistring(20)] | None = Field(default=None, description="imsi of the modem's SIM card.")
    meter_type: Annotated[str, _cistring(25)] | None = Field(default=None, description="meterType.")
    meter_serial: Annotated[str, _cistring(25)] | None = Field(
        default=None, description="meterSerialNumber; {id} stands for the identity."
    )


class HeartbeatModel(Part):
    """When heartbeats are sent."""

    every: SecondsOrCsms = Field(default=None, description="from_csms: the interval of the boot's answer; or 60s.")
    regardless_of_traffic: Flag | None = Field(
        default=None, description="Beat even when another message was sent within the interval. Default: false."
    )


class AuthorizeModel(Part):
    """Authorize requests of each charge point."""

    rate: RateOrNone = Field(description="Rate of each charge point, such as 0.5/h; none: no Authorize.")
    arrivals: Annotated[str, one_of("poisson", "even")] | None = Field(
        default=None, description="poisson (default), or even: at equal distances."
    )


class DataTransferModel(Part):
    """DataTransfer requests of each charge point: a vendor's telemetry (OCPP 1.6, section 4.3)."""

    rate: RateOrNone = Field(description="Rate of each charge point, such as 6/h; none: no DataTransfer.")
    arrivals: Annotated[str, one_of("poisson", "even")] | None = Field(
        default=None, description="poisson (default), or even: at equal distances."
    )
    vendor: Annotated[str, _cistring(255)] | None = Field(
        default=None, description="vendorId. Default: com.example.telemetry."
    )
    message: Annotated[str, _cistring(50)] | None = Field(default=None, description="messageId. Default: none.")
    size: Size | None = Field(
        default=None, description="Length of data, a text that differs each time; 0B: no data. Default: 200B."
    )


class ReconnectModel(Part):
    """The wait before try n (from 0): first * factor**n, at most max, give or take jitter."""

    first: SomeSeconds | None = Field(default=None, description="Default: 5s.")
    factor: Factor | None = Field(default=None, description="Default: 2.")
    max: SomeSeconds | None = Field(default=None, description="Default: 5m.")
    jitter: Share | None = Field(default=None, description="Default: 50%.")


class FleetModel(Part):
    """Charge points that share their settings."""

    count: Annotated[int, whole(1, MOST_CHARGE_POINTS)] | None = Field(
        default=None, description="How many charge points; with an id file, its first ones. Default there: all."
    )
    id: Annotated[IdModel, Shorthand("pattern", {"type": "string"})] | None = Field(
        default=None, description="Pattern of the identities, or {file: ids.csv}. Default: {fleet}-{n:05}."
    )
    connectors: Annotated[int, whole(1, 1000)] | None = Field(
        default=None, description="Connectors of each. Default: 1."
    )
    boot: BootModel | None = None
    heartbeat: Annotated[HeartbeatModel, Shorthand("every", SECONDS_OR_CSMS.schema)] | None = Field(
        default=None, description="Default: from_csms, the first beats spread over the interval."
    )
    authorize: Annotated[AuthorizeModel, Shorthand("rate", RATE_OR_NONE.schema)] | None = Field(
        default=None, description="Rate of Authorize of each charge point. Default: none."
    )
    data_transfer: Annotated[DataTransferModel, Shorthand("rate", RATE_OR_NONE.schema)] | None = Field(
        default=None, description="Rate of DataTransfer of each charge point. Default: none."
    )
    tags: dict[Name, Share] | None = Field(
        default=None, description="Shares by tag class, 100% in all. Default: all classes, by their counts."
    )
    reconnect: ReconnectModel | None = None
    boot_on_reconnect: Flag | None = Field(
        default=None, description="Boot again after every reconnect. Default: false."
    )
    ping: SecondsOrNone = Field(default=None, description="Send WebSocket pings this often. Default: none.")
    framing: Annotated[str, one_of("array", "object")] | None = Field(
        default=None, description="array (default), or object: frames of old firmware."
    )
    subprotocol: Annotated[str, one_of("ocpp1.6", "optional", "none")] | None = Field(
        default=None, description="As csms.subprotocol, and stronger."
    )
    session: Name | None = Field(
        default=None, description="Which of sessions its drivers have. Default: none, nobody charges."
    )
    power: Power | None = Field(default=None, description="What each connector gives at most. Default: 11kW.")
    phases: Phases | None = Field(default=None, description="Phases of each connector, 1 or 3. Default: 3.")
    configuration: Configuration | None = Field(
        default=None,
        description="Initial values of configuration keys (OCPP 1.6, section 9).",
        examples=[{"TransactionMessageAttempts": 3, "StopTransactionOnInvalidId": True}],
    )
    profiles: Profiles | None = Field(
        default=None,
        description="Feature profiles it has, Core among them; Security is the security extension. "
        "Default: the six standard ones.",
    )
    firmware: FirmwareModel | None = None
    diagnostics: DiagnosticsModel | None = None
    hardware: HardwareModel | None = None
    reboot: Durations | None = Field(
        default=None,
        description="From the end of a connection by a reset to the next connect. Default: 5s..15s (uniform).",
    )
    transfer_hosts: list[Host] | None = Field(
        default=None,
        description="Hosts, besides loopback, to which firmware and diagnostics are really transferred; "
        "to and from others it is simulated. Default: none.",
    )


class StageModel(Part):
    """A stretch of the run, at whose end so many charge points are online."""

    name: Name | None = Field(default=None, description="Default: stage-1, stage-2, ...")
    duration: Seconds = Field(alias="for", description="How long it takes.")
    online: Annotated[dict[Annotated[str, Reads(str, {})], OnlineAmount], Shorthand(EVERY, ON_LINE)] | None = Field(
        default=None,
        description="Charge points online at the end: a share, a count over all fleets, or a mapping by fleet. "
        "Linear from the last value; default: keeps it.",
        examples=["100%", 500, {"street_ac": "50%"}],
    )
    sessions: SessionRates | None = Field(
        default=None,
        description="Charging sessions that arrive at the end: a rate over all fleets that have a session, split by "
        "their connectors, or a mapping by fleet. Linear from the last value; default: keeps it.",
        examples=["1500/h", {"street_ac": "1000/h"}],
    )
    arrivals: Annotated[str, one_of("poisson", "even")] | None = Field(
        default=None, description="How sessions arrive: poisson (default), or even: at equal distances."
    )
    jump: Flag | None = Field(default=None, description="Be there at once instead of linearly. Default: false.")
    measure: Flag | None = Field(default=None, description="Whether thresholds count this stage. Default: true.")


class OutputsModel(Part):
    """Where results go."""

    dir: FilePath | None = Field(
        default=None, description="Folder of the run folders, under the current one. Default: results."
    )
    files: list[Annotated[str, Reads(_file, {"enum": list(WRITTEN)})]] | None = Field(
        default=None, description="Result files to point out; all of them are always written."
    )


class ScenarioModel(Part):
    """A load test of an OCPP 1.6J CSMS: fleets of charge points, and stages that say how many are online."""

    version: Annotated[int, Reads(_version, {"const": 1})] = Field(description="Version of this grammar: 1.")
    name: Annotated[str, NAME] = Field(description="Name of the scenario, and of its run folders.")
    description: Text | None = Field(default=None, description="What it is for.")
    seed: Annotated[int, whole(0, 2**63 - 1)] | None = Field(
        default=None,
        description="The same seed gives the same tags and arrivals. Default: random, printed and stored.",
    )
    csms: CsmsModel | None = Field(default=None, description="Default: the embedded CSMS.")
    id_tags: dict[Name, TagClassModel] | None = Field(
        default=None, description="Classes of id tags. Default: one class 'default' of 1,000 tags expected Accepted."
    )
    fleets: dict[Name, FleetModel] = Field(description="Fleets of charge points, by name.")
    sessions: dict[Name, SessionModel] | None = Field(
        default=None, description="Kinds of charging sessions, by name. Default: none."
    )
    stages: list[StageModel] = Field(description="The run, one stage after the other.")
    faults: list[FaultModel] | None = Field(default=None, description="Trouble that is planned. Default: none.")
    thresholds: Thresholds | None = Field(default=None, description="Checks that decide whether the run passed.")
    outputs: OutputsModel | None = None
