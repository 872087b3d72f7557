"""What the facts of a machine mean for a run: how many charge points they allow, and what to type for more (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from loadsim.doctor_command.facts import Facts
from loadsim.limits import CHARGE_POINT_BYTES, CONDUCTOR_BYTES, TLS_BYTES, UNLIMITED, WORKER_BYTES, easy_ports
from loadsim.preflight import CHARGE_POINTS_A_WORKER, DESCRIPTORS_OF_ITS_OWN
from loadsim.units import format_bytes, format_count, format_duration

State = Literal["ok", "note", "broken"]

_FEW_DESCRIPTORS: Final = 4_096
_ENOUGH: Final = 100_000
_FEW_PORTS: Final = 10_000
_SHORT_BACKLOG: Final = 1_024
_LATE: Final = 0.002
_BUSY: Final = 0.3
_LITTLE_DISK: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One limit: what was *found*, what it *allows*, and the lines to type to *raise_by*, where it can be raised."""

    name: str
    state: State
    found: str
    allows: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    raise_by: tuple[str, ...] = ()


def checks_of(facts: Facts) -> list[Check]:
    """Judge *facts*, what a run meets first first."""
    return [
        _descriptors(facts),
        _ports(facts),
        _cores(facts),
        _memory(facts),
        *_disk(facts),
        *_backlog(facts),
        *_conntrack(facts),
        _timer(facts),
        _loopback(facts),
        _tls(facts),
        _python(facts),
        _libraries(facts),
    ]


def _descriptors(facts: Facts) -> Check:
    limit = facts.descriptors
    carried = max(limit - DESCRIPTORS_OF_ITS_OWN, 0)
    allows = f"{format_count(carried)} charge points a worker, and as many on the embedded CSMS"
    if facts.soft_descriptors is None or limit >= UNLIMITED:
        found = "no limit"
        allows = ""
    else:
        found = f"soft {_limit(facts.soft_descriptors)}, hard {_limit(facts.hard_descriptors)}, used {_limit(limit)}"
    return Check(
        name="descriptors",
        state="broken" if not carried else "note" if limit < _FEW_DESCRIPTORS else "ok",
        found=found,
        allows=allows,
        numbers={
            "soft": facts.soft_descriptors,
            "hard": facts.hard_descriptors,
            "limit": limit,
            "charge_points_a_worker": carried,
        },
        raise_by=() if limit >= _ENOUGH else _raise_descriptors(facts.system),
    )


def _limit(number: int | None) -> str:
    return "unknown" if number is None else "unlimited" if number >= UNLIMITED else format_count(number)


def _raise_descriptors(system: str) -> tuple[str, ...]:
    match system:
        case "darwin":
            return ("sudo launchctl limit maxfiles 100000 200000", "ulimit -n 100000")
        case "win32":
            return ()
        case _:
            return (
                "echo '* hard nofile 100000' | sudo tee /etc/security/limits.d/loadsim.conf    # then log in again",
                "systemd: LimitNOFILE=100000    docker: --ulimit nofile=100000:100000",
            )


def _ports(facts: Facts) -> Check:
    count = format_count(facts.ports)
    more = " (127.0.0.2 and so on can be used against a CSMS on this machine)" if facts.source_addresses else ""
    match facts.system:
        case "darwin":
            raise_by: tuple[str, ...] = ("sudo sysctl net.inet.ip.portrange.first=16384",)
        case "win32":
            raise_by = ("netsh int ipv4 set dynamicport tcp start=1025 num=64510    # as administrator",)
        case _:
            raise_by = ("sudo sysctl -w net.ipv4.ip_local_port_range='1024 65535'",)
    raised = facts.ports >= 48_000
    easy = easy_ports(facts.ports, facts.system)
    slow = f", those beyond {format_count(easy)} at 1 ms of CPU each to connect" if easy < facts.ports else ""
    return Check(
        name="ports",
        state="note" if facts.ports < _FEW_PORTS else "ok",
        found=count if facts.system == "linux" else f"{count} are assumed",
        allows=f"as many charge points to one CSMS for each of csms.source_addresses{slow}{more}",
        numbers={
            "charge_points_a_source_address": facts.ports,
            "of_these_connect_at_once": easy,
            "loopback_source_addresses": facts.source_addresses,
        },
        raise_by=() if raised else raise_by,
    )


def _cores(facts: Facts) -> Check:
    workers = max(1, facts.cores - 1)
    found = f"{facts.cores}" if facts.cores == facts.all_cores else f"{facts.cores} of {facts.all_cores}"
    busy = f", {facts.busy:.0%} in use by others now" if facts.busy > _BUSY else ""
    each = format_count(CHARGE_POINTS_A_WORKER)
    return Check(
        name="cores",
        state="note" if busy else "ok",
        found=found + busy,
        allows=f"{workers} worker{'s' if workers > 1 else ''} by default, each of {each} charge points and more",
        numbers={
            "cores": facts.cores,
            "of": facts.all_cores,
            "busy": round(facts.busy, 3),
            "default_workers": workers,
        },
    )


def _memory(facts: Facts) -> Check:
    free = max(facts.free_memory - CONDUCTOR_BYTES - WORKER_BYTES, 0)
    share = WORKER_BYTES // max(facts.descriptors - DESCRIPTORS_OF_ITS_OWN, 1)  # of the workers that they fill
    plain, busy = CHARGE_POINT_BYTES
    idle, charging, secure = (free // (each + share) for each in (plain, busy, plain + TLS_BYTES[0]))
    return Check(
        name="memory",
        state="note" if charging < _FEW_DESCRIPTORS else "ok",
        found=f"{format_bytes(facts.free_memory)} of {format_bytes(facts.memory)} free",
        allows=f"{format_count(charging)} charge points that charge, {format_count(idle)} that only beat, "
        f"{format_count(secure)} over TLS",
        numbers={
            "free_bytes": facts.free_memory,
            "bytes": facts.memory,
            "charge_points": {"charging": charging, "idle": idle, "idle_tls": secure},
        },
    )


def _disk(facts: Facts) -> list[Check]:
    if facts.free_disk is None:
        return []
    return [
        Check(
            name="disk",
            state="note" if facts.free_disk < _LITTLE_DISK else "ok",
            found=f"{format_bytes(facts.free_disk)} free here",
            allows="loadsim plan says what a run takes",
            numbers={"free_bytes": facts.free_disk},
        )
    ]


def _backlog(facts: Facts) -> list[Check]:
    if facts.somaxconn is None:
        return []
    short = facts.somaxconn < _SHORT_BACKLOG
    raise_by: Sequence[str] = ()
    if short:
        setting = "kern.ipc.somaxconn" if facts.system == "darwin" else "net.core.somaxconn"
        raise_by = (f"sudo sysctl -w {setting}=4096",)
    return [
        Check(
            name="backlog",
            state="note" if short else "ok",
            found=f"somaxconn {format_count(facts.somaxconn)}",
            allows="so many connects at a moment wait for a CSMS on this machine; those beyond are tried again",
            numbers={"somaxconn": facts.somaxconn},
            raise_by=tuple(raise_by),
        )
    ]


def _conntrack(facts: Facts) -> list[Check]:
    if facts.conntrack is None:
        return []
    few = facts.conntrack < facts.ports
    return [
        Check(
            name="conntrack",
            state="note" if few else "ok",
            found=f"nf_conntrack_max {format_count(facts.conntrack)}",
            allows="so many connections through the packet filter, those that were closed lately among them",
            numbers={"nf_conntrack_max": facts.conntrack},
            raise_by=("sudo sysctl -w net.netfilter.nf_conntrack_max=262144",) if few else (),
        )
    ]


def _timer(facts: Facts) -> Check:
    late = facts.oversleep > _LATE
    told = "this would be in every run's lateness; end what else runs here" if late else ""
    return Check(
        name="timer",
        state="note" if late else "ok",
        found=f"a sleep of 1 ms is late by {format_duration(max(facts.oversleep, 0.0))}",
        allows=told,
        numbers={"oversleep_s": round(facts.oversleep, 6), "clock_resolution_s": facts.clock_resolution},
    )


def _loopback(facts: Facts) -> Check:
    return Check(
        name="loopback",
        state="broken" if facts.loopback else "ok",
        found=facts.loopback or "127.0.0.1 answers",
        allows="the embedded CSMS cannot be reached" if facts.loopback else "",
        numbers={},
    )


def _tls(facts: Facts) -> Check:
    problems = []
    if not facts.tls13:
        problems.append("no TLS 1.3")
    if not facts.authorities:
        problems.append("no CA certificates are installed: give csms.auth.ca for wss://")
    authorities = f"{facts.authorities} certificate authorities" if facts.authorities else ""
    return Check(
        name="tls",
        state="note" if problems else "ok",
        found=facts.tls,
        allows="; ".join(problems) or authorities,
        numbers={"tls13": facts.tls13, "authorities": facts.authorities},
    )


def _python(facts: Facts) -> Check:
    return Check(name="python", state="ok", found=facts.python, numbers={"version": facts.python})


def _libraries(facts: Facts) -> Check:
    missing = [name for name, version in facts.libraries.items() if version is None]
    absent = [name for name, version in facts.optional.items() if version is None]
    there = [f"{name} {version}" for name, version in (facts.libraries | facts.optional).items() if version]
    told = f"missing: {', '.join(missing)}" if missing else ""
    if absent and not missing:
        told = f"without {', '.join(absent)} charge points cannot have certificates: pip install 'loadsim[security]'"
    return Check(
        name="libraries",
        state="broken" if missing else "ok",
        found=", ".join(there),
        allows=told,
        numbers=facts.libraries | facts.optional,
        raise_by=(f"pip install {' '.join(missing)}",) if missing else (),
    )
