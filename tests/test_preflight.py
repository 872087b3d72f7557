"""What a machine cannot carry is told before anything is sent, with figures and what to do."""

import re
from pathlib import Path

import psutil
import pytest

from loadsim import preflight
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.errors import PreflightFailed
from loadsim.limits import TLS_BYTES, easy_ports, free_memory
from loadsim.preflight import (
    charge_point_bytes,
    check_machine,
    default_workers,
    memory_needed,
    most_online,
    warnings_of,
)
from loadsim.scenario.plan import EmbeddedCsms, FleetPlan, Plan, Stage, Target

MUCH = 1 << 40


def make_plan(
    count: int,
    *,
    url: str = "ws://csms.example/{id}",
    embedded: bool = False,
    processes: int = 1,
    addresses: tuple[str, ...] = (),
    online: int | None = None,
) -> Plan:
    return Plan(
        name="big",
        seed=1,
        tag_classes=(),
        target=Target(url=None if embedded else url, source_addresses=addresses),
        embedded=EmbeddedCsms(processes=processes) if embedded else None,
        fleets=(FleetPlan(name="a", count=count, pattern="A-{n}", tags={}, settings=ChargePointSettings()),),
        stages=(Stage(name="all", duration=60, online={"a": count if online is None else online}),),
    )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make it a machine of 20,000 descriptors a process, 28,000 ports an address, and memory enough."""
    monkeypatch.setattr(preflight, "raise_descriptor_limit", lambda: 20_000)
    monkeypatch.setattr(preflight, "ephemeral_ports", lambda: 28_000)
    monkeypatch.setattr(preflight, "easy_ports", lambda ports: ports // 2)
    monkeypatch.setattr(preflight, "free_memory", lambda: MUCH)
    return monkeypatch


def test_what_fits_is_not_refused(machine: pytest.MonkeyPatch) -> None:
    check_machine(make_plan(10_000), workers=1)


def test_too_few_descriptors_are_told_with_the_workers_that_would_do(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(PreflightFailed, match=r"too few descriptors: 1 worker\(s\) need 25,128 .*--workers 2"):
        check_machine(make_plan(25_000), workers=1)


def test_too_few_ports_are_told_with_the_source_addresses_that_would_do(machine: pytest.MonkeyPatch) -> None:
    plan = make_plan(60_000, addresses=("127.0.0.2",))
    with pytest.raises(
        PreflightFailed, match=r"need 3 source addresses of 28,000 ports each, and there are 1; .*best 5 of"
    ):
        check_machine(plan, workers=4)


@pytest.mark.parametrize(("online", "needed"), [(28_001, 3), (40_000, 3), (42_001, 4), (56_000, 4)])
def test_from_half_of_an_address_s_ports_on_it_is_told_how_many_addresses_make_connects_cheap(
    online: int, needed: int, machine: pytest.MonkeyPatch
) -> None:
    two = ("127.0.0.2", "127.0.0.3")

    (warning,) = warnings_of(make_plan(online, addresses=two))

    assert re.match(rf"[0-9,]+ connections from a source address .* from 14,000 on, .* give {needed} csms", warning)
    assert warnings_of(make_plan(online, addresses=tuple(f"127.0.0.{n}" for n in range(2, 2 + needed)))) == []


@pytest.mark.parametrize("online", [27_999, 28_000])
def test_half_of_an_address_s_ports_are_no_reason_to_warn(online: int, machine: pytest.MonkeyPatch) -> None:
    assert warnings_of(make_plan(online, addresses=("127.0.0.2", "127.0.0.3"))) == []


def test_those_who_are_never_online_at_a_time_need_no_ports(machine: pytest.MonkeyPatch) -> None:
    assert len(warnings_of(make_plan(20_000))) == 1
    assert warnings_of(make_plan(20_000, online=14_000)) == []


def test_what_is_refused_is_not_warned_of_too(machine: pytest.MonkeyPatch) -> None:
    assert warnings_of(make_plan(28_001)) == []


@pytest.mark.parametrize(("system", "easy"), [("linux", 14_116), ("win32", 28_232), ("darwin", 28_232)])
def test_only_linux_prefers_half_of_the_ports(system: str, easy: int) -> None:
    assert easy_ports(28_232, system) == easy


@pytest.mark.parametrize("url", ["wss://csms.example/{id}", "WSS://csms.example/{id}"])
def test_tls_takes_memory_of_each_charge_point_and_more_once_it_has_reconnected(url: str) -> None:
    plain, secure = charge_point_bytes(make_plan(1)), charge_point_bytes(make_plan(1, url=url))

    assert tuple(more - less for more, less in zip(secure, plain, strict=True)) == TLS_BYTES
    assert memory_needed(make_plan(1_000, url=url), 1) - memory_needed(make_plan(1_000), 1) == 1_000 * TLS_BYTES[0]


def test_too_little_memory_is_told_with_what_is_needed_and_what_is_free(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(preflight, "free_memory", lambda: 200_000_000)
    with pytest.raises(
        PreflightFailed, match=r"10,000 charge points in 2 worker\(s\) need at least 290 MB, and 200 MB are"
    ):
        check_machine(make_plan(10_000), workers=2)

    machine.setattr(preflight, "free_memory", lambda: 290_000_000)
    check_machine(make_plan(10_000), workers=2)


def test_the_embedded_csms_needs_memory_for_those_that_are_online() -> None:
    plan = make_plan(10_000, online=4_000)
    with_csms = make_plan(10_000, online=4_000, embedded=True)

    assert most_online(with_csms) == 4_000
    assert memory_needed(with_csms, 1) - memory_needed(plan, 1) == 40_000_000 + 4_000 * 28_000


def test_each_process_of_the_embedded_csms_needs_memory_of_its_own_and_so_does_the_one_they_belong_to() -> None:
    one, three = (make_plan(10_000, embedded=True, processes=number) for number in (1, 3))

    assert memory_needed(three, 1) - memory_needed(one, 1) == 3 * 40_000_000


def test_too_few_descriptors_of_the_embedded_csms_are_told_with_the_processes_that_would_do(
    machine: pytest.MonkeyPatch,
) -> None:
    addresses = ("127.0.0.2", "127.0.0.3")
    with pytest.raises(
        PreflightFailed, match=r"1 process\(es\) of the embedded CSMS need 40,128 each .*processes to 3,"
    ):
        check_machine(make_plan(40_000, addresses=addresses, embedded=True), workers=3)

    check_machine(make_plan(40_000, addresses=addresses, embedded=True, processes=3), workers=3)


def test_by_default_there_are_as_many_workers_as_descriptors_need(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(preflight, "cores", lambda: 1)
    assert default_workers(make_plan(50_000)) == 3


def test_free_memory_is_some_of_what_the_machine_has(tmp_path: Path) -> None:
    assert 0 < free_memory(tmp_path) <= psutil.virtual_memory().total


def test_a_container_s_own_limit_counts_without_its_cache_of_files(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("300000\n")
    (tmp_path / "memory.stat").write_text("anon 100000\nfile 150000\n")
    assert free_memory(tmp_path) == 200_000

    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 200_000
