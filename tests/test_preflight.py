"""What a machine cannot carry is told before anything is sent, with figures and what to do."""

from pathlib import Path

import psutil
import pytest

from loadsim import preflight
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.errors import PreflightFailed
from loadsim.limits import free_memory
from loadsim.preflight import check_machine, default_workers, memory_needed, most_online
from loadsim.scenario.plan import EmbeddedCsms, FleetPlan, Plan, Stage, Target

MUCH = 1 << 40


def make_plan(
    count: int,
    *,
    embedded: bool = False,
    processes: int = 1,
    addresses: tuple[str, ...] = (),
    online: int | None = None,
) -> Plan:
    return Plan(
        name="big",
        seed=1,
        tag_classes=(),
        target=Target(url=None if embedded else "ws://csms.example/{id}", source_addresses=addresses),
        embedded=EmbeddedCsms(processes=processes) if embedded else None,
        fleets=(FleetPlan(name="a", count=count, pattern="A-{n}", tags={}, settings=ChargePointSettings()),),
        stages=(Stage(name="all", duration=60, online={"a": count if online is None else online}),),
    )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make it a machine of 20,000 descriptors a process, 28,000 ports an address, and memory enough."""
    monkeypatch.setattr(preflight, "raise_descriptor_limit", lambda: 20_000)
    monkeypatch.setattr(preflight, "ephemeral_ports", lambda: 28_000)
    monkeypatch.setattr(preflight, "free_memory", lambda: MUCH)
    return monkeypatch


def test_what_fits_is_not_refused(machine: pytest.MonkeyPatch) -> None:
    check_machine(make_plan(10_000), workers=1)


def test_too_few_descriptors_are_told_with_the_workers_that_would_do(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(PreflightFailed, match=r"too few descriptors: 1 worker\(s\) need 25,128 .*--workers 2"):
        check_machine(make_plan(25_000), workers=1)


def test_too_few_ports_are_told_with_the_source_addresses_that_would_do(machine: pytest.MonkeyPatch) -> None:
    plan = make_plan(60_000, addresses=("127.0.0.2",))
    with pytest.raises(PreflightFailed, match=r"need 3 source addresses of 28,000 ports each, and there are 1"):
        check_machine(plan, workers=4)


def test_too_little_memory_is_told_with_what_is_needed_and_what_is_free(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(preflight, "free_memory", lambda: 300_000_000)
    with pytest.raises(
        PreflightFailed, match=r"10,000 charge points in 2 worker\(s\) need at least 440 MB, and 300 MB are"
    ):
        check_machine(make_plan(10_000), workers=2)

    machine.setattr(preflight, "free_memory", lambda: 440_000_000)
    check_machine(make_plan(10_000), workers=2)


def test_the_embedded_csms_needs_memory_for_those_that_are_online() -> None:
    plan = make_plan(10_000, online=4_000)
    with_csms = make_plan(10_000, online=4_000, embedded=True)

    assert most_online(with_csms) == 4_000
    assert memory_needed(with_csms, 1) - memory_needed(plan, 1) == 40_000_000 + 4_000 * 27_000


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
