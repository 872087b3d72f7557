"""The grammar of planned calls, in a scenario and in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadsim.errors import ScenarioError
from loadsim.scenario.check_calls import SENT_BY_CSMS
from loadsim.scenario.plan import EmbeddedCsms, PlannedCall, TagClass
from loadsim.scenario.read_calls import read_calls
from loadsim.scenario.resolve import resolve
from loadsim.scenario.resolved import resolved_yaml
from tests.scenario.helpers import FLEETS, HEAD, STAGES, messages_in, plan_of, read

TAGS = """\
id_tags:
  drivers: {count: 5, pattern: "D{n}"}
  stolen: {count: 5, pattern: "S{n}", expect: Blocked}
"""


def with_calls(*calls: str, rest: str = FLEETS + STAGES + TAGS) -> str:
    listed = "".join(f"      - {call}\n" for call in calls)
    return f"{HEAD}csms:\n  embedded:\n    calls:\n{listed}{rest}"


def calls_of(folder: Path, *calls: str, **options: Any) -> tuple[PlannedCall, ...]:
    embedded = plan_of(folder, with_calls(*calls, **options)).embedded
    assert embedded is not None
    return embedded.calls


def call_of(folder: Path, call: str) -> PlannedCall:
    (found,) = calls_of(folder, call)
    return found


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = '{name: x, send: Reset, with: {type: Hard}, to: "a-*", each: 0.01/h, arrivals: even, from: 1s, until: 9s}'

    assert call_of(tmp_path, text) == PlannedCall(
        name="x",
        send="Reset",
        payload={"type": "Hard"},
        to="a-*",
        each=0.01 / 3600,
        spacing="even",
        begin=1.0,
        end=9.0,
    )


def test_a_call_has_a_name_and_the_good_tags_by_default(tmp_path: Path) -> None:
    first, second = calls_of(
        tmp_path, "{send: ClearCache, rate: 2/s}", "{send: RemoteStartTransaction, rate: 20/s, timeout: 5s}"
    )

    assert first == PlannedCall(name="call-1", send="ClearCache", rate=2.0)
    assert (second.name, second.rate, second.timeout) == ("call-2", 20.0, 5.0)
    assert [each.name for each in second.tags] == ["drivers"]


def test_a_moment_is_shared_out_and_spread(tmp_path: Path) -> None:
    call = call_of(tmp_path, "{send: ClearCache, at: 2s, share: 50%, over: 8s}")

    assert (call.at, call.share, call.over) == (2.0, 0.5, 8.0)


@pytest.mark.parametrize("tags", ["stolen", "[stolen]", "[stolen, drivers]"])
def test_tag_classes_can_be_chosen(tags: str, tmp_path: Path) -> None:
    call = call_of(tmp_path, f"{{send: RemoteStartTransaction, rate: 1/s, tags: {tags}}}")

    assert {each.name for each in call.tags} == set(tags.strip("[]").split(", "))


def test_where_no_tag_is_good_all_are_drawn_from(tmp_path: Path) -> None:
    rest = FLEETS + STAGES + 'id_tags: {stolen: {count: 5, pattern: "S{n}", expect: Blocked}}\n'
    (call,) = calls_of(tmp_path, "{send: RemoteStartTransaction, rate: 1/s}", rest=rest)

    assert [each.name for each in call.tags] == ["stolen"]


@pytest.mark.parametrize(
    ("call", "after"),
    [
        ("send: RemoteStartTransaction, on: Preparing", (1.0, 3.0)),
        ("send: RemoteStartTransaction, on: Preparing, after: 0s", (0.0, 0.0)),
        ("send: UnlockConnector, on: Finishing", (0.0, 0.0)),
        ("send: GetConfiguration, on: boot, after: 2s..5s", (2.0, 5.0)),
    ],
)
def test_what_follows_something_waits_for_a_while(call: str, after: tuple[float, float], tmp_path: Path) -> None:
    assert call_of(tmp_path, f"{{{call}}}").after == after


def test_a_stage_is_a_window(tmp_path: Path) -> None:
    stages = "stages:\n  - {for: 10s, online: 100%}\n  - {name: peak, for: 5s}\n  - {for: 5s}\n"
    (call,) = calls_of(tmp_path, "{send: ClearCache, rate: 1/s, during: peak}", rest=FLEETS + stages)

    assert (call.begin, call.end) == (10.0, 15.0)


def test_a_planned_remote_start_stands_for_the_one_that_sessions_get(tmp_path: Path) -> None:
    rest = (
        "fleets:\n  a: {count: 10, session: s}\nsessions: {s: {start: {remote: 100%}}}\n"
        "stages:\n  - {for: 10s, online: 100%, sessions: 100/h}\n"
    )
    own = "{send: RemoteStartTransaction, rate: 1/s}"

    assert [call.rate for call in calls_of(tmp_path, own, rest=rest)] == [1.0]
    assert [call.on for call in calls_of(tmp_path, "{send: ClearCache, each: 1/h}", rest=rest)] == [None, "Preparing"]


def test_calls_read_back_from_the_resolved_scenario(tmp_path: Path) -> None:
    text = with_calls(
        '{send: DataTransfer, with: {vendorId: v, data: "$$5 {\\"a\\": 1} {now}"}, at: 2s, share: 30%, over: 3s}',
        "{name: r, send: RemoteStartTransaction, rate: 20/m, tags: [drivers], during: stage-1}",
        "{send: RemoteStartTransaction, on: Preparing, after: 2s..5s, from: 1s}",
        "{send: Reset, each: 1/d, arrivals: even, until: 7s, timeout: 90s}",
    )
    scenario = read(tmp_path, text)
    plan = resolve(scenario, seed=1)
    written = resolved_yaml(scenario, plan)

    assert plan_of(tmp_path, written) == plan
    assert plan.embedded is not None
    assert plan.embedded.calls[0].payload["data"] == '$5 {"a": 1} {now}'


def test_the_remote_start_of_sessions_reads_back_too(tmp_path: Path) -> None:
    text = (
        HEAD + "fleets:\n  a: {count: 10, session: s}\nsessions: {s: {start: {remote: 100%}}}\n"
        "stages:\n  - {for: 10s, online: 100%, sessions: 100/h}\n"
    )
    scenario = read(tmp_path, text)
    plan = resolve(scenario, seed=1)

    assert plan_of(tmp_path, resolved_yaml(scenario, plan)) == plan


def test_a_plan_is_json(tmp_path: Path) -> None:
    embedded = plan_of(tmp_path, with_calls("{send: ClearCache, rate: 1/s}")).embedded

    assert msgspec.json.decode(msgspec.json.encode(embedded), type=EmbeddedCsms) == embedded


def test_text_from_a_variable_is_text(tmp_path: Path) -> None:
    text = with_calls('{send: ChangeConfiguration, with: {key: K, value: "${VALUE}"}, rate: 1/s}')
    embedded = plan_of(tmp_path, text, {"VALUE": "60"}).embedded

    assert embedded is not None
    assert embedded.calls[0].payload == {"key": "K", "value": "60"}
    assert type(embedded.calls[0].payload["value"]) is str


@pytest.mark.parametrize("action", SENT_BY_CSMS)
def test_every_action_of_a_central_system_can_be_planned(action: str, tmp_path: Path) -> None:
    needed = {
        "CertificateSigned": "{certificateChain: x}",
        "ChangeAvailability": "{type: Inoperative}",
        "ChangeConfiguration": "{key: K, value: V}",
        "DeleteCertificate": "{certificateHashData: {hashAlgorithm: SHA256, issuerNameHash: a, issuerKeyHash: b,"
        " serialNumber: c}}",
        "GetDiagnostics": "{location: 'ftp://h/x'}",
        "GetLog": "{log: {remoteLocation: 'ftp://h/x'}}",
        "InstallCertificate": "{certificateType: CentralSystemRootCertificate, certificate: x}",
        "SignedUpdateFirmware": "{firmware: {location: 'http://h/x', signingCertificate: x, signature: x}}",
        "UpdateFirmware": "{location: 'http://h/x'}",
    }
    payload = f", with: {needed[action]}" if action in needed else ""

    assert call_of(tmp_path, f"{{send: {action}{payload}, rate: 1/s}}").send == action


# A ^ stands before the place that a mistake is shown at.
MISTAKES = {
    "{send: ^RemoteStartTransacton, rate: 1/s}": ".send: unknown action 'RemoteStartTransacton'; "
    "did you mean 'RemoteStartTransaction'?",
    "{send: ^Heartbeat, rate: 1/s}": ".send: Heartbeat is for the charge point to send",
    "^{rate: 1/s}": ": the key 'send' is missing",
    "^{send: ClearCache}": ": expected one of at, rate, each and on, to say when",
    "{send: ClearCache, rate: 1/s, ^each: 1/h}": ".each: give either rate or each",
    "{send: ClearCache, rate: 1/s, ^share: 5%}": ".share: goes with at, not with rate",
    "{send: ClearCache, at: 1s, ^arrivals: even}": ".arrivals: goes with rate or each, not with at",
    "{send: ClearCache, each: 1/h, ^after: 1s}": ".after: goes with on, not with each",
    "{send: ClearCache, at: 1s, ^from: 1s}": ".from: goes with rate or each or on, not with at",
    "{send: ClearCache, rate: 1/s, ^from: 1s, during: stage-1}": ".from: give either during or from",
    "{send: ClearCache, rate: 1/s, during: ^stage-2}": ".during: unknown stage 'stage-2'; did you mean 'stage-1'?",
    "{send: ClearCache, rate: 1/s, from: 5s, until: ^5s}": ".until: expected 'until' to be after 'from'",
    "{send: ClearCache, rate: 1/s, from: ^10s}": ".from: the run ends before, after 10s",
    "{send: ClearCache, at: ^10s}": ".at: the run ends before, after 10s",
    "{send: ClearCache, at: 5s, over: ^6s}": ".over: the run ends before, after 10s",
    "{send: ClearCache, rate: 1/s, to: ^b-*}": ".to: no charge point matches 'b-*'",
    "{send: ReserveNow, rate: 1/s, tags: ^driver}": ".tags: unknown tag class 'driver'; did you mean 'drivers'?",
    "{send: ReserveNow, rate: 1/s, tags: [drivers, ^x]}": ".tags[1]: unknown tag class 'x'; expected 'drivers' or "
    "'stolen'",
    "{send: ReserveNow, rate: 1/s, tags: ^[]}": ".tags: expected at least one tag class",
    "{send: Reset, rate: 1/s, ^tags: drivers}": ".tags: Reset carries no id tag; only RemoteStartTransaction and "
    "ReserveNow do",
    "{send: ^UpdateFirmware, rate: 1/s}": ".send: UpdateFirmware: Object missing required field `location`",
    "{send: Reset, ^with: {type: Soft, at: once}, rate: 1/s}": ".with: Reset: Object contains unknown field `at`",
    "{send: Reset, ^with: {type: '{then}'}, rate: 1/s}": ".with: Reset: unknown placeholder '{then}'; "
    "expected {now}, {now+10m}, {id} or {authority}",
    "{send: UpdateFirmware, ^with: {location: 'a:b', retrieveDate: '{now+10}'}, rate: 1/s}": ".with: UpdateFirmware: "
    "expected a duration such as '30s', '5m' or '1h30m', got '10'; the unit is missing",
    "{send: Reset, with: ^Hard, rate: 1/s}": ".with: expected a mapping with the request's properties, got 'Hard'",
    "{send: Reset, rate: ^0/s}": ".rate: expected more than 0, got '0/s'",
    "{send: Reset, on: ^Charged}": ".on: expected boot or Available or Preparing or Charging or SuspendedEVSE or "
    "SuspendedEV or Finishing or Reserved or Unavailable or Faulted, got 'Charged'; did you mean 'Charging'?",
    "{send: Reset, on: ^preparing}": ".on: expected boot or Available or Preparing or Charging or SuspendedEVSE or "
    "SuspendedEV or Finishing or Reserved or Unavailable or Faulted, got 'preparing'; did you mean 'Preparing'?",
    "{send: Reset, ^ewery: 1/h}": ".ewery: unknown key 'ewery'",
}


@pytest.mark.parametrize("marked", MISTAKES)
def test_a_mistake_is_said_once_with_its_place(marked: str, tmp_path: Path) -> None:
    column = 9 + marked.index("^")

    found = messages_in(tmp_path, with_calls(marked.replace("^", "")))

    assert found == [f"6:{column} csms.embedded.calls[0]{MISTAKES[marked]}"]


def test_all_mistakes_show_at_once_at_their_own_calls(tmp_path: Path) -> None:
    found = messages_in(
        tmp_path,
        with_calls(
            "nonsense", "{send: Reset, rate: 1}", "{send: Rest, each: 1/h}", "{name: call-3, send: Reset, at: 1s}"
        ),
    )

    assert [message.partition(" ")[0] for message in found] == ["6:9", "7:29", "8:16", "9:10"]
    assert "two calls are named 'call-3'" in found[3]


def test_an_overlong_payload_is_no_way_around_the_schema(tmp_path: Path) -> None:
    (found,) = messages_in(
        tmp_path, with_calls(f"{{send: DataTransfer, with: {{vendorId: {'v' * 256}}}, rate: 1/s}}")
    )

    assert "Expected `str` of length <= 255" in found


# A file of its own.

KNOWN = (TagClass(name="known", count=2, tags=("A", "B")),)


def calls_in(folder: Path, text: str) -> tuple[PlannedCall, ...]:
    path = folder / "calls.yaml"
    path.write_text(text, encoding="utf-8")
    return read_calls(path, {"TYPE": "Hard"}, KNOWN)


def test_a_file_holds_the_same_grammar(tmp_path: Path) -> None:
    text = 'calls:\n  - {send: Reset, with: {type: "${TYPE}"}, each: 1/h}\n  - {send: ReserveNow, rate: 2/s}\n'

    assert calls_in(tmp_path, text) == (
        PlannedCall(name="call-1", send="Reset", payload={"type": "Hard"}, each=1 / 3600),
        PlannedCall(name="call-2", send="ReserveNow", rate=2.0, tags=KNOWN),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "calls.yaml: error: is empty; expected calls"),
        ("- 1\n", "calls.yaml:1:1: error: expected a mapping with calls, got a list"),
        ("{}\n", "calls.yaml:1:1: error: the key 'calls' is missing"),
        ("id_tags: {}\n", "calls.yaml:1:1: error: the key 'calls' is missing"),
        (FLEETS + STAGES, "calls.yaml:1:1: error: this is a scenario; its calls stand under csms.embedded.calls"),
        ("fleets: {}\nid_tags: {}\ncsms: {embedded: {}}\n", "1:1: error: this is a scenario; its calls stand under"),
        ("a: {}\nb: {}\n", "calls.yaml:1:1: error: the key 'calls' is missing"),
        ("calls: {a: {send: Reset}}\n", "calls.yaml:1:8: error: calls: expected a list, got a mapping"),
        ("calls: []\n", "calls.yaml:1:8: error: calls: expected at least one call"),
        ("calls: 7\n", "calls.yaml:1:8: error: calls: expected a list, got the number 7"),
        ("call: []\ncalls: [{send: Reset, at: 1s}]\n", "1:1: error: call: unknown key 'call'; did you mean 'calls'?"),
        ("calls: [{send: Reset, evry: 1/h}]\n", "calls[0].evry: unknown key 'evry'"),
        ("calls: [{sent: Reset, at: 1s}]\n", "calls[0].sent: unknown key 'sent'; did you mean 'send'?"),
        ("calls: [{send: Reset, at: 1}]\n", "the unit is missing"),
        ("calls: [{send: Reset, rate: 1/s, during: peak}]\n", "there are no stages here; give from and until"),
        ("calls: [{send: ReserveNow, at: 1s, tags: no}]\n", "unknown tag class 'no'; there is only 'known'"),
        ("calls: [\n", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_file_is_said_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        calls_in(tmp_path, text)

    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="does not exist"):
        read_calls(tmp_path / "none.yaml", {}, KNOWN)
