"""Configuration keys (OCPP 1.6, sections 5.3 and 5.8, chapter 9)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from ocpp.v16.enums import ConfigurationKey
from trio.testing import MockClock

from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES
from loadsim.v16.configuration import apply_pending, flag, initial_problem, integer, items, text
from loadsim.v16.configuration_keys import DEFAULTS, KEYS
from loadsim.v16.configuration_kinds import LONGEST, MEASURANDS
from tests.support import World, world

ALL_PROFILES = (*STANDARD_PROFILES, SECURITY_PROFILE)
BOOLEANS = [key.name for key in KEYS if key.access == "RW" and key.default in ("true", "false")]
FROM_ZERO = [
    "BlinkRepeat",
    "ClockAlignedDataInterval",
    "LightIntensity",
    "MaxEnergyOnInvalidId",
    "MeterValueSampleInterval",
    "MinimumStatusDuration",
    "ResetRetries",
    "TransactionMessageRetryInterval",
    "WebSocketPingInterval",
]
FROM_ONE = ["ConnectionTimeOut", "HeartbeatInterval", "TransactionMessageAttempts"]
LISTS = ["MeterValuesAlignedData", "MeterValuesSampledData", "StopTxnAlignedData", "StopTxnSampledData"]
READ_ONLY = [key.name for key in KEYS if key.access == "R"]
OF_ISO_15118 = {
    "CentralContractValidationAllowed",
    "CertSigningWaitMinimum",
    "CertSigningRepeatTimes",
    "ContractValidationOffline",
    "ISO15118PnCEnabled",
}
ADDED_BY_THE_ERRATA = {"SupportedFeatureProfilesMaxLength", "SupportedFileTransferProtocols"}


async def set_key(w: World, key: str, value: str) -> str:
    answer = await w.csms.latest.order("ChangeConfiguration", {"key": key, "value": value})
    await trio.testing.wait_all_tasks_blocked()
    return str(answer["status"])


async def shown(w: World, *keys: str) -> dict[str, str]:
    answer = await w.csms.latest.order("GetConfiguration", {"key": list(keys)})
    return {entry["key"]: entry["value"] for entry in answer["configurationKey"]}


def test_every_standard_key_is_in_the_table() -> None:
    standard = {key.value for key in ConfigurationKey} - OF_ISO_15118
    assert {key.name for key in KEYS} == standard | ADDED_BY_THE_ERRATA


def test_the_keys_are_told_in_the_order_of_their_names() -> None:
    assert [key.name for key in KEYS] == sorted(key.name for key in KEYS)


def test_every_key_that_can_be_set_has_a_test_of_its_range() -> None:
    tested = {*BOOLEANS, *FROM_ZERO, *FROM_ONE, *LISTS}
    others = {"AuthorizationKey", "ConnectorPhaseRotation", "CpoName", "SecurityProfile"}
    assert {key.name for key in KEYS if key.access != "R"} == tested | others


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_what_holds_at_first_is_of_its_keys_kind(name: str) -> None:
    key = next(key for key in KEYS if key.name == name)
    assert key.kind(DEFAULTS[name]) == DEFAULTS[name]


@given(st.sampled_from(KEYS), st.text(max_size=30) | st.integers().map(str) | st.sampled_from(MEASURANDS))
def test_what_a_kind_keeps_it_would_keep_again(key: Any, value: str) -> None:
    kept = None
    with suppress(ValueError):
        kept = key.kind(value)
    assert kept is None or key.kind(kept) == kept


@given(st.lists(st.sampled_from(MEASURANDS), unique=True))
def test_a_list_of_measurands_is_read_back_item_by_item(names: list[str]) -> None:
    kind = next(key for key in KEYS if key.name == "MeterValuesSampledData").kind
    assert kind(" , ".join(name.upper() for name in names)) == ",".join(names)


async def test_rule_30_keys_take_what_their_kind_allows_and_refuse_the_rest(autojump_clock: MockClock) -> None:
    most = {"ClockAlignedDataInterval": 86_400, "LightIntensity": 100}
    async with world() as w:
        await w.online(profiles=ALL_PROFILES)
        for name in BOOLEANS:
            for value, status in {"true": "Accepted", "False": "Accepted", "1": "Rejected", "": "Rejected"}.items():
                assert (name, await set_key(w, name, value)) == (name, status)
            assert (await shown(w, name))[name] == "false"
        for name in (*FROM_ZERO, *FROM_ONE):
            good = [str(most.get(name, LONGEST)), "1", *(["0"] if name in FROM_ZERO else [])]
            bad = ["-1", "1.5", "", "soon", "+1", "٣", str(most.get(name, LONGEST) + 1)]
            bad += ["0"] if name in FROM_ONE else []
            for value in good:
                assert (name, value, await set_key(w, name, value)) == (name, value, "Accepted")
            for value in bad:
                assert (name, value, await set_key(w, name, value)) == (name, value, "Rejected")
            assert (await shown(w, name))[name] == good[-1]
        for name in LISTS:
            for value in ("SoC, Energy.Active.Import.Register", "voltage", ""):
                assert (name, value, await set_key(w, name, value)) == (name, value, "Accepted")
            for value in ("Voltage,Humidity", "Voltage,Voltage", "Voltage,", "Voltage.L1", "RPM"):
                assert (name, value, await set_key(w, name, value)) == (name, value, "Rejected")
            assert (await shown(w, name))[name] == ""


@pytest.mark.parametrize("name", READ_ONLY)
async def test_rule_30_a_read_only_key_is_shown_as_such_and_refuses_to_be_set(
    autojump_clock: MockClock, name: str
) -> None:
    async with world() as w:
        await w.online(profiles=ALL_PROFILES)
        (entry,) = (await w.csms.latest.order("GetConfiguration", {"key": [name]}))["configurationKey"]
        assert entry["readonly"] is True
        assert await set_key(w, name, entry["value"]) == "Rejected"


async def test_rule_30_an_unknown_key_is_not_supported(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        assert await set_key(w, "Nonsense", "1") == "NotSupported"
        assert w.counted("commands.ChangeConfiguration.refused") == 1


@pytest.mark.parametrize(
    ("profile", "keys"),
    [
        ("LocalAuthListManagement", ["LocalAuthListEnabled", "LocalAuthListMaxLength", "SendLocalListMaxLength"]),
        ("Reservation", ["ReserveConnectorZeroSupported"]),
        ("SmartCharging", ["ChargeProfileMaxStackLevel", "MaxChargingProfilesInstalled"]),
        ("FirmwareManagement", ["SupportedFileTransferProtocols"]),
        (SECURITY_PROFILE, ["CpoName", "SecurityProfile", "CertificateStoreMaxLength"]),
    ],
)
async def test_the_keys_of_a_profile_that_is_off_are_unknown(
    autojump_clock: MockClock, profile: str, keys: list[str]
) -> None:
    async with world() as w:
        await w.online(profiles=tuple(name for name in ALL_PROFILES if name != profile))
        answer = await w.csms.latest.order("GetConfiguration", {"key": keys})
        assert answer == {"configurationKey": [], "unknownKey": keys}
        for key in keys:
            assert await set_key(w, key, "true") == "NotSupported"

        all_names = {
            entry["key"] for entry in (await w.csms.latest.order("GetConfiguration", {}))["configurationKey"]
        }
        assert all_names.isdisjoint(keys)


async def test_the_feature_profiles_are_those_of_the_fleet_without_the_security_extension(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        await w.online(profiles=("Core", "Reservation", SECURITY_PROFILE))
        assert await shown(w, "SupportedFeatureProfiles") == {"SupportedFeatureProfiles": "Core,Reservation"}


async def test_rule_31_get_configuration_without_keys_tells_all_but_the_authorization_key(
    autojump_clock: MockClock,
) -> None:
    readable = [key.name for key in KEYS if key.name != "AuthorizationKey"]
    async with world() as w:
        await w.online(connectors=2, profiles=ALL_PROFILES)
        requests: list[dict[str, Any]] = [{}, {"key": []}]
        for request in requests:
            answer = await w.csms.latest.order("GetConfiguration", request)
            assert [entry["key"] for entry in answer["configurationKey"]] == readable
            assert "unknownKey" not in answer
            assert {"key": "NumberOfConnectors", "readonly": True, "value": "2"} in answer["configurationKey"]
            assert {"key": "HeartbeatInterval", "readonly": False, "value": "300"} in answer["configurationKey"]


async def test_rule_31_known_keys_are_told_in_any_spelling_and_unknown_ones_named_once(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        await w.online()
        asked = {"key": ["heartbeatINTERVAL", "Nonsense", "HeartbeatInterval", "Nonsense"]}
        answer = await w.csms.latest.order("GetConfiguration", asked)

        assert [entry["key"] for entry in answer["configurationKey"]] == ["HeartbeatInterval"]
        assert answer["unknownKey"] == ["Nonsense"]


async def test_rule_31_the_authorization_key_is_never_shown(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(profiles=ALL_PROFILES)
        assert await set_key(w, "AuthorizationKey", "00" * 16) == "Accepted"
        answer = await w.csms.latest.order("GetConfiguration", {"key": ["AuthorizationKey"]})

        assert answer == {"configurationKey": [], "unknownKey": ["AuthorizationKey"]}


async def test_asking_for_more_keys_than_can_be_asked_for_breaks_a_constraint(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(configuration={"GetConfigurationMaxKeys": "3"})
        kind, code, description, _ = await w.csms.latest.ask("GetConfiguration", {"key": ["a", "b", "c", "d"]})

        assert (kind, code) == (4, "OccurenceConstraintViolation")
        assert "3" in description
        assert len((await w.csms.latest.order("GetConfiguration", {"key": ["a", "b", "c"]}))["unknownKey"]) == 3
        assert await shown(w, "GetConfigurationMaxKeys") == {"GetConfigurationMaxKeys": "3"}


async def test_the_fleets_value_holds_until_the_csms_sets_another(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(configuration={"ConnectionTimeOut": "90", "LocalPreAuthorize": "true"})
        assert integer(charge_point, "ConnectionTimeOut") == 90
        assert flag(charge_point, "LocalPreAuthorize")
        assert text(charge_point, "MinimumStatusDuration") == "0"
        await set_key(w, "connectiontimeout", "0015")
        await set_key(w, "LocalPreAuthorize", "False")
        await set_key(w, "StopTxnSampledData", "SoC, Voltage")

        assert integer(charge_point, "ConnectionTimeOut") == 15
        assert not flag(charge_point, "LocalPreAuthorize")
        assert items(charge_point, "StopTxnSampledData") == ("SoC", "Voltage")
        assert (await shown(w, "ConnectionTimeOut")) == {"ConnectionTimeOut": "15"}


async def test_what_one_charge_point_is_told_another_of_its_fleet_does_not_hear(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online()
        await set_key(w, "ResetRetries", "9")
        other = await w.online(1)

        assert (text(charge_point, "ResetRetries"), text(other, "ResetRetries")) == ("9", DEFAULTS["ResetRetries"])


async def test_rule_30_a_value_that_needs_a_reboot_holds_after_it(autojump_clock: MockClock) -> None:
    key = "ConnectorPhaseRotation"
    async with world() as w:
        await w.online(connectors=2)
        assert await set_key(w, key, "1.RTS, 2.tsr") == "RebootRequired"
        assert await shown(w, key) == {key: "1.RST,2.RST"}
        await w.csms.latest.order("Reset", {"type": "Soft"})
        await trio.sleep(60)

        assert len(w.csms.connections) == 2
        assert await shown(w, key) == {key: "1.RTS,2.TSR"}


async def test_a_value_that_waits_for_a_reboot_can_be_taken_back(autojump_clock: MockClock) -> None:
    key = "ConnectorPhaseRotation"
    async with world() as w:
        charge_point = await w.online(phases=1)
        assert await set_key(w, key, "1.RTS") == "RebootRequired"
        assert await set_key(w, key, "1.NotApplicable") == "Accepted"
        apply_pending(charge_point)

        assert await shown(w, key) == {key: "1.NotApplicable"}


@pytest.mark.parametrize("value", ["", "3.RST", "RST", "1.XYZ", "1.RST,1.RTS", "x.RST", "-1.RST", "1"])
async def test_a_phase_rotation_is_of_connectors_that_exist(autojump_clock: MockClock, value: str) -> None:
    async with world() as w:
        await w.online(connectors=2)
        assert await set_key(w, "ConnectorPhaseRotation", value) == "Rejected"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MeterValueSampleInterval", "30", None),
        ("MeterValuesSampledData", "SoC, Voltage", None),
        ("StopTransactionOnInvalidId", "false", None),
        ("LocalAuthListMaxLength", "20", None),
        ("GetConfigurationMaxKeys", "5", None),
        ("CpoName", "Acme, Inc", None),
        ("StopTransactionOnInvalidId", "False", "expected 'false', got 'False'"),
        ("ConnectionTimeOut", "0", "expected a whole number from 1 to 2147483647, got '0'"),
        ("LightIntensity", "020", "expected '20', got '020'"),
        (
            "LocalPreAuthorise",
            "true",
            "unknown configuration key 'LocalPreAuthorise'; did you mean 'LocalPreAuthorize'?",
        ),
        (
            "localpreauthorize",
            "true",
            "unknown configuration key 'localpreauthorize'; did you mean 'LocalPreAuthorize'?",
        ),
        ("Nonsense", "1", "unknown configuration key 'Nonsense'"),
        ("NumberOfConnectors", "2", "cannot be set here: the fleet's 'connectors' is this number"),
        ("ChargingScheduleMaxPeriods", "2", "cannot be set here: the charge point tells it, nobody sets it"),
        (
            "AuthorizationKey",
            "00" * 16,
            "cannot be set here: passwords come from csms.auth, or from the file of the fleet's ids",
        ),
    ],
)
def test_a_scenario_is_told_what_is_wrong_with_an_initial_value(name: str, value: str, problem: str | None) -> None:
    assert initial_problem(name, value) == problem


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_every_default_could_stand_in_a_scenario(name: str) -> None:
    assert initial_problem(name, DEFAULTS[name]) is None
