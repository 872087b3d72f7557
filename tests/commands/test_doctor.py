"""``loadsim doctor``: what a machine's limits allow, on which system what is to be typed, and when it is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadsim import doctor_command
from loadsim.doctor_command import show_checks
from loadsim.doctor_command.checks import Check, checks_of
from loadsim.doctor_command.facts import LIBRARIES, Facts, gather
from tests.output.builders import paper


def facts(**other: Any) -> Facts:
    """Return a good machine, but for *other*."""
    good: dict[str, Any] = {
        "system": "linux",
        "system_text": "Linux",
        "soft_descriptors": 1024,
        "hard_descriptors": 20_000,
        "descriptors": 20_000,
        "ports": 28_232,
        "cores": 2,
        "all_cores": 8,
        "busy": 0.0,
        "free_memory": 6_000_000_000,
        "memory": 8_000_000_000,
        "free_disk": 50_000_000_000,
        "somaxconn": 4096,
        "conntrack": 262_144,
        "clock_resolution": 1e-9,
        "oversleep": 0.0001,
        "python": "3.11.7",
        "libraries": {"trio": "0.27"},
        "optional": {"cryptography": "43"},
        "tls": "OpenSSL 3.0",
        "authorities": 140,
    }
    return Facts(**good | other)


def check(name: str, **other: Any) -> Check:
    (found,) = (each for each in checks_of(facts(**other)) if each.name == name)
    return found


def test_a_good_machine_is_all_well() -> None:
    assert {each.name: each.state for each in checks_of(facts()) if each.state != "ok"} == {}


def test_descriptors_allow_so_many_charge_points_a_worker() -> None:
    assert check("descriptors").numbers["charge_points_a_worker"] == 20_000 - 128


def test_ports_allow_so_many_charge_points_a_source_address() -> None:
    assert check("ports").numbers["charge_points_a_source_address"] == 28_232


@pytest.mark.parametrize(("system", "easy"), [("linux", 14_116), ("win32", 28_232), ("darwin", 28_232)])
def test_on_linux_connects_get_dear_from_half_of_the_ports_on(system: str, easy: int) -> None:
    found = check("ports", system=system)

    assert found.numbers["of_these_connect_at_once"] == easy
    assert ("those beyond 14,116 at 1 ms of CPU each" in found.allows) == (system == "linux")


def test_memory_allows_as_many_as_were_measured_with_the_workers_that_they_fill() -> None:
    free = 6_000_000_000 - 130_000_000
    worker = 50_000_000 // 19_872

    assert check("memory").numbers["charge_points"] == {
        "charging": free // (20_000 + worker),
        "idle": free // (11_000 + worker),
        "idle_tls": free // (46_000 + worker),
    }


def test_one_core_is_left_to_the_conductor() -> None:
    assert check("cores", cores=4).numbers["default_workers"] == 3


@pytest.mark.parametrize(
    ("system", "name", "typed"),
    [
        ("linux", "descriptors", "/etc/security/limits.d/loadsim.conf"),
        ("linux", "ports", "sysctl -w net.ipv4.ip_local_port_range='1024 65535'"),
        ("darwin", "descriptors", "launchctl limit maxfiles"),
        ("darwin", "ports", "sysctl net.inet.ip.portrange.first=16384"),
        ("win32", "ports", "netsh int ipv4 set dynamicport tcp start=1025 num=64510"),
    ],
)
def test_what_is_to_be_typed_is_of_the_system(system: str, name: str, typed: str) -> None:
    assert typed in "\n".join(check(name, system=system).raise_by)


def test_windows_has_no_descriptors_to_raise() -> None:
    found = check("descriptors", system="win32", soft_descriptors=None, hard_descriptors=None, descriptors=1 << 20)

    assert (found.found, found.raise_by) == ("no limit", ())


def test_a_limit_that_is_high_already_need_not_be_raised() -> None:
    assert check("descriptors", hard_descriptors=200_000, descriptors=200_000).raise_by == ()
    assert check("ports", ports=64_512).raise_by == ()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("descriptors", {"descriptors": 1024, "hard_descriptors": 1024}),
        ("ports", {"ports": 5_000}),
        ("cores", {"busy": 0.8}),
        ("memory", {"free_memory": 100_000_000}),
        ("disk", {"free_disk": 1_000_000}),
        ("backlog", {"somaxconn": 128}),
        ("conntrack", {"conntrack": 8_192}),
        ("timer", {"oversleep": 0.0156}),
        ("tls", {"authorities": 0}),
    ],
)
def test_what_is_low_is_pointed_out_and_breaks_nothing(name: str, found: dict[str, Any]) -> None:
    assert check(name, **found).state == "note"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("descriptors", {"descriptors": 100}),
        ("loopback", {"loopback": "Network is down"}),
        ("libraries", {"libraries": {"trio": None}}),
    ],
)
def test_that_without_which_nothing_runs_is_broken(name: str, found: dict[str, Any]) -> None:
    assert check(name, **found).state == "broken"


def test_a_setting_that_a_system_does_not_have_is_left_out() -> None:
    names = {each.name for each in checks_of(facts(somaxconn=None, conntrack=None, free_disk=None))}

    assert names.isdisjoint({"backlog", "conntrack", "disk"})


def test_this_machine_is_looked_at_and_carries_tests() -> None:
    found = gather()

    assert found.descriptors > 128
    assert found.ports > 1000
    assert found.loopback == ""
    assert found.libraries.keys() == LIBRARIES.keys()
    assert None not in found.libraries.values()


@pytest.mark.parametrize(("loopback", "code"), [("", 0), ("Network is down", 3)])
def test_the_exit_code_tells_whether_something_is_broken(
    loopback: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_command, "gather", lambda: facts(loopback=loopback, somaxconn=128))

    assert doctor_command.doctor(as_json=True) == code

    found = json.loads(capsys.readouterr().out)
    assert {each["name"]: each["state"] for each in found["checks"]}["loopback"] == ("broken" if code else "ok")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_reads_in_ascii_and_what_is_to_be_typed_is_not_broken(width: int) -> None:
    console, file = paper(width, encoding="ascii")
    found = facts(somaxconn=128)

    show_checks(found, checks_of(found), console)

    text = file.getvalue()
    assert text.isascii()
    assert "sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535'\n" in text
    told = text.partition("to raise a limit")[0].splitlines()
    assert max(map(len, told)) <= max(width, 60)
