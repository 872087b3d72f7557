"""Faults in a scenario: what is refused, with which words at which place, and what the plan has of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.scenario.plan import MALFORMED_KINDS, FaultPlan
from loadsim.scenario.resolve import resolve, resolved_yaml
from tests.scenario.helpers import HEAD, messages_in, plan_of, read

FLEETS = "fleets: {street_ac: {count: 40}, motorway_dc: {count: 10}}\n"
STAGES = "stages: [{name: rollout, for: 15m, online: 100%}, {name: peak, for: 1h}, {name: soak, for: 20m}]\n"
BASE = HEAD + FLEETS + STAGES


def faults(*texts: str) -> str:
    return BASE + "faults:\n" + "".join(f"  - {{{text}}}\n" for text in texts)


def planned(folder: Path, text: str) -> FaultPlan:
    return plan_of(folder, faults(text)).faults[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("do: drop", "6:5 faults[0]: expected at, rate or during, to say when"),
        ("do: drop, at: 5m, rate: 1/h", "faults[0].rate: give either at or rate"),
        ("do: drop, at: 5m, during: peak", "faults[0].during: give either at or during"),
        ("at: 5m", "6:5 faults[0]: the key 'do' is missing"),
        (
            "do: dorp, at: 5m",
            "6:10 faults[0].do: expected drop or silent or slow or malformed or csms, got 'dorp'; did you mean "
            "'drop'?",
        ),
        ("do: drop, att: 5m", "6:16 faults[0].att: unknown key 'att'; did you mean 'at'?"),
        (
            "do: drop, at: 5",
            "faults[0].at: expected a moment such as 'peak+20m', 'peak' or '20m', got the number 5; ",
        ),
        ("do: drop, at: '5'", "got '5'; the unit is missing"),
        ("do: drop, at: true", "expected a moment such as 'peak+20m', 'peak' or '20m', got true"),
        ("do: drop, at: []", "expected a moment such as 'peak+20m', 'peak' or '20m', got a list"),
        ("do: drop, at: +20m", "expected a moment such as 'peak+20m', 'peak' or '20m', got '+20m'"),
        (
            "do: drop, at: peak+20",
            "expected a duration such as '30s', '5m' or '1h30m', got '20'; the unit is missing",
        ),
        ("do: drop, at: peak + 20m", "expected a duration such as '30s', '5m' or '1h30m', got ' 20m'"),
        ("do: drop, at: pek+20m", "6:20 faults[0].at: unknown stage 'pek'; did you mean 'peak'?"),
        ("do: drop, at: night", "faults[0].at: unknown stage 'night'; expected 'rollout', 'peak' or 'soak'"),
        ("do: drop, at: peak+2h", "6:20 faults[0].at: peak+2h is after the run's end at 1h35m"),
        ("do: drop, at: 2h", "faults[0].at: 2h is after the run's end at 1h35m"),
        ("do: drop, at: soak+20m", "faults[0].at: soak+20m is the run's end, at 1h35m"),
        ("do: drop, during: paek, rate: 1/h", "faults[0].during: unknown stage 'paek'; did you mean 'peak'?"),
        ("do: drop, rate: 1", "faults[0].rate: expected a rate such as '200/s' or '0.5/h', got '1'; the unit is"),
        ("do: drop, at: 5m, fleet: stret_ac", "unknown fleet 'stret_ac'; did you mean 'street_ac'?"),
        ("do: drop, at: 5m, share: 0.5", "faults[0].share: expected a share such as '10%' or '0.1%', got '0.5'"),
        ("do: drop, at: 5m, name: a b", "faults.a b.name: expected a name of letters, digits"),
        ("do: drop, at: 5m, how: stall", "faults[0].how: expected reset or close with do: drop, got 'stall'"),
        (
            "do: csms, at: 5m, for: 3s, how: close",
            "faults[0].how: expected stall, restart, refuse or delay with do: csms, got 'close'",
        ),
        ("do: silent, at: 5m, for: 3s, how: close", "6:35 faults[0].how: how belongs to do: drop and csms"),
        ("do: drop, at: 5m, latency: 1s", "faults[0].latency: latency belongs to do: slow and csms delay"),
        (
            "do: csms, at: 5m, for: 3s, how: stall, latency: 1s",
            "faults[0].latency: latency belongs to do: slow and csms delay",
        ),
        ("do: drop, at: 5m, bandwidth: 64kbit/s", "faults[0].bandwidth: bandwidth belongs to do: slow"),
        ("do: drop, at: 5m, kinds: huge", "faults[0].kinds: kinds belongs to do: malformed"),
        ("do: csms, at: 5m, for: 3s, how: stall, status: 503", "status belongs to do: csms refuse"),
        ("do: slow, at: 5m, for: 3s, latency: 1s, status: 503", "status belongs to do: csms refuse"),
        ("do: malformed, at: 5m, for: 3s", "faults[0].for: for does not go with do: malformed, which is one message"),
        ("do: silent, at: 5m", "6:5 faults[0]: do: silent needs for, how long it lasts"),
        ("do: slow, at: 5m, latency: 1s", "faults[0]: do: slow needs for, how long it lasts"),
        ("do: csms, at: 5m, how: stall", "faults[0]: do: csms needs for, how long it lasts"),
        ("do: silent, at: 5m, for: 0s", "faults[0].for: expected more than 0s"),
        ("do: slow, at: 5m, for: 1m", "faults[0]: do: slow needs latency, or bandwidth, or both"),
        (
            "do: slow, at: 5m, for: 1m, latency: 0s",
            "faults[0].latency: expected more than 0s, or bandwidth beside it",
        ),
        ("do: slow, at: 5m, for: 1m, latency: 2s..1s", "latency: expected the smaller duration first, got '2s..1s'"),
        (
            "do: slow, at: 5m, for: 1m, bandwidth: 64",
            "faults[0].bandwidth: expected a bandwidth such as '64kbit/s' or '8kB/s', got '64'; the unit is missing",
        ),
        ("do: slow, at: 5m, for: 1m, bandwidth: 0bit/s", "faults[0].bandwidth: expected more than 0, got '0bit/s'"),
        ("do: csms, at: 5m, for: 3s", "faults[0]: do: csms needs how: stall, restart, refuse or delay"),
        (
            "do: csms, at: 5m, for: 3s, how: delay",
            "faults[0]: do: csms, how: delay needs latency, what every answer takes more",
        ),
        ("do: csms, at: 5m, for: 3s, how: delay, latency: 0s", "faults[0].latency: expected more than 0s"),
        (
            "do: csms, at: 5m, for: 3s, how: refuse, status: 200",
            "faults[0].status: expected a whole number from 400 to 599, got 200",
        ),
        (
            "do: csms, at: 5m, for: 3s, how: stall, fleet: street_ac",
            "faults[0].fleet: fleet does not go with do: csms, which hits the CSMS and so everybody, at one moment",
        ),
        ("do: csms, at: 5m, for: 3s, how: stall, share: 5%", "faults[0].share: share does not go with do: csms"),
        ("do: csms, rate: 1/h, for: 3s, how: stall", "faults[0].rate: rate does not go with do: csms"),
        ("do: malformed, at: 5m, kinds: []", "faults[0].kinds: expected at least one kind; leave kinds out for all"),
        ("do: malformed, at: 5m, kinds: [hug]", "faults[0].kinds[0]: expected no_json or no_array or short or"),
        ("do: malformed, at: 5m, kinds: [huge, huge]", "faults[0].kinds[1]: the kind 'huge' stands here twice"),
        ("do: malformed, at: 5m, kinds: {huge: 1}", "faults[0].kinds: expected a list, got a mapping"),
    ],
)
def test_a_wrong_fault_is_told_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    (found,) = messages_in(tmp_path, faults(text))

    assert message in found


def test_a_mistake_names_the_fault_by_its_name_and_shows_its_place(tmp_path: Path) -> None:
    (found,) = messages_in(tmp_path, faults("do: drop, at: 1m", "name: outage, do: drop, at: peak+2h"))

    assert found == "7:34 faults.outage.at: peak+2h is after the run's end at 1h35m"


@pytest.mark.parametrize("names", [("name: x, ", "name: x, "), ("", "name: fault-1, ")])
def test_two_faults_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    (found,) = messages_in(tmp_path, faults(*(f"{name}do: drop, at: 5m" for name in names)))

    assert found.partition(": ")[2] == f"two faults are named '{names[1][6:-2]}'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("do: drop, during: leap, rate: 1/h", "the stage 'leap' takes 0s; nothing can happen in it"),
        ("do: drop, during: leap", "the stage 'leap' takes 0s; write 'at: leap' for its moment"),
    ],
)
def test_nothing_happens_during_a_stage_of_no_length(tmp_path: Path, text: str, message: str) -> None:
    stages = "stages: [{for: 5m, online: 5}, {name: leap, for: 0s, online: 40, jump: true}, {for: 5m}]\n"

    (found,) = messages_in(tmp_path, HEAD + FLEETS + stages + f"faults: [{{{text}}}]\n")

    assert found.endswith(f"faults[0].during: {message}")
    assert plan_of(tmp_path, HEAD + FLEETS + stages + "faults: [{do: drop, at: leap}]\n").faults[0].at == 300.0


def test_only_the_embedded_csms_can_be_told_to_make_trouble(tmp_path: Path) -> None:
    text = faults("do: csms, at: 5m, for: 3s, how: stall") + "csms: {url: 'ws://h'}\n"

    assert messages_in(tmp_path, text) == [
        "6:10 faults[0].do: only the embedded CSMS can be told to, and csms.url is another one"
    ]


@pytest.mark.parametrize("section", ["5", "{do: drop, at: 5m}", "drop"])
def test_faults_are_a_list(tmp_path: Path, section: str) -> None:
    (found,) = messages_in(tmp_path, BASE + f"faults: {section}\n")

    assert found.startswith("5:9 faults: expected a list, got ")


def test_a_wrong_item_hides_no_mistake_of_the_others(tmp_path: Path) -> None:
    found = messages_in(tmp_path, BASE + "faults:\n  - drop\n  - {do: drop, at: night}\n  - [1]\n  - {do: drop}\n")

    assert found == [
        "6:5 faults[0]: expected a mapping (key: value), got 'drop'",
        "7:20 faults[1].at: unknown stage 'night'; expected 'rollout', 'peak' or 'soak'",
        "8:5 faults[2]: expected a mapping (key: value), got a list",
        "9:5 faults[3]: expected at, rate or during, to say when",
    ]


def test_a_wrong_stage_does_not_make_the_faults_wrong(tmp_path: Path) -> None:
    found = messages_in(tmp_path, faults("do: drop, at: peak+50h").replace("for: 1h", "for: 1"))

    assert [message.split(" ")[1] for message in found] == ["stages.peak.for:"]


@pytest.mark.parametrize(
    ("at", "seconds"), [("20m", 1200.0), ("peak", 900.0), ("peak+20m", 2100.0), ("soak+0s", 4500.0), ("0s", 0.0)]
)
def test_a_moment_counts_from_the_run_s_beginning(tmp_path: Path, at: str, seconds: float) -> None:
    fault = planned(tmp_path, f"do: drop, at: {at}")

    assert (fault.at, fault.rate, fault.begin, fault.end) == (seconds, None, 0.0, 0.0)


def test_a_moment_may_be_later_than_the_end_of_the_stage_that_it_counts_from(tmp_path: Path) -> None:
    assert planned(tmp_path, "do: drop, at: rollout+1h").at == 3600.0


def test_during_alone_is_the_beginning_of_the_stage(tmp_path: Path) -> None:
    assert planned(tmp_path, "do: silent, during: peak, for: 5m") == FaultPlan(
        name="fault-1", do="silent", at=900.0, duration=300.0
    )


def test_a_rate_is_of_a_stage_or_of_the_whole_run(tmp_path: Path) -> None:
    during, always = planned(tmp_path, "do: drop, rate: 36/h, during: peak"), planned(tmp_path, "do: drop, rate: 0/h")

    assert (during.at, during.rate, during.begin, during.end) == (None, 0.01, 900.0, 4500.0)
    assert (always.at, always.rate, always.begin, always.end) == (None, 0.0, 0.0, 5700.0)


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("do: drop, at: 5m", FaultPlan(name="fault-1", do="drop", how="reset", at=300.0)),
        (
            "name: outage, do: drop, at: 5m, how: close, fleet: motorway_dc, share: 25%, for: 2m",
            FaultPlan(
                name="outage", do="drop", how="close", at=300.0, fleet="motorway_dc", share=0.25, duration=120.0
            ),
        ),
        (
            "do: slow, at: 5m, for: 1m, latency: 200ms..2s, bandwidth: 64kbit/s",
            FaultPlan(name="fault-1", do="slow", at=300.0, duration=60.0, latency=(0.2, 2.0), bandwidth=8000.0),
        ),
        (
            "do: malformed, at: 5m, kinds: huge",
            FaultPlan(name="fault-1", do="malformed", at=300.0, kinds=("huge",)),
        ),
        ("do: malformed, at: 5m", FaultPlan(name="fault-1", do="malformed", at=300.0, kinds=MALFORMED_KINDS)),
        (
            "do: csms, at: 5m, how: refuse, for: 30s",
            FaultPlan(name="fault-1", do="csms", how="refuse", at=300.0, duration=30.0, status=503),
        ),
        (
            "do: csms, at: 5m, how: refuse, for: 30s, status: 429",
            FaultPlan(name="fault-1", do="csms", how="refuse", at=300.0, duration=30.0, status=429),
        ),
        (
            "do: csms, at: 5m, how: delay, for: 30s, latency: 1s",
            FaultPlan(name="fault-1", do="csms", how="delay", at=300.0, duration=30.0, latency=(1.0, 1.0)),
        ),
    ],
)
def test_a_fault_becomes_plain_values(tmp_path: Path, text: str, plan: FaultPlan) -> None:
    assert planned(tmp_path, text) == plan


def test_the_embedded_csms_gets_its_own_faults_and_the_plan_has_all(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, faults("do: drop, at: 5m", "do: csms, at: 6m, how: restart, for: 3s"))

    assert plan.embedded is not None
    assert [fault.name for fault in plan.faults] == ["fault-1", "fault-2"]
    assert plan.embedded.faults == plan.faults[1:]


durations = st.sampled_from(["1ms", "0.37s", "5m", "1h2m3.7s"])
latencies = st.sampled_from(["latency: 5ms", "latency: 1ms..0.123s"])
moments = st.sampled_from(["at: 0.1s", "at: peak+0.7s", "at: soak", "during: peak", "at: rollout+0.3s"])
whens = moments | st.sampled_from(["rate: 0.7/h", "rate: 0/s, during: peak", "rate: 1/m, during: soak"])
whom = st.sampled_from(["", ", share: 33.3%", ", fleet: street_ac", ", fleet: motorway_dc, share: 0%"])
texts = st.one_of(
    st.builds("do: drop, {}{}, how: {}, for: {}".format, whens, whom, st.sampled_from(["reset", "close"]), durations),
    st.builds("do: silent, {}{}, for: {}".format, whens, whom, durations),
    st.builds("do: slow, {}{}, for: {}, {}".format, whens, whom, durations, latencies),
    st.builds("do: slow, {}{}, for: {}, bandwidth: 9.6kbit/s".format, whens, whom, durations),
    st.builds(
        "do: malformed, {}{}, kinds: [{}]".format,
        whens,
        whom,
        st.lists(st.sampled_from(MALFORMED_KINDS), min_size=1, unique=True).map(", ".join),
    ),
    st.builds("do: csms, how: delay, {}, for: {}, {}".format, moments, durations, latencies),
    st.builds("do: csms, how: refuse, {}, for: {}, status: 500".format, moments, durations),
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(texts, min_size=1, max_size=4))
def test_resolved_faults_read_back_to_the_same(tmp_path_factory: pytest.TempPathFactory, each: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    scenario = read(folder, faults(*each).replace("for: 15m", "for: 0.3s").replace("for: 20m", "for: 0.1s"))
    plan = resolve(scenario, seed=1)

    assert plan_of(folder, resolved_yaml(scenario, plan)) == plan
