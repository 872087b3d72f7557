"""What this machine can carry, looked at before anything is sent: descriptors, ports, memory, cores."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from loadsim.errors import PreflightFailed
from loadsim.limits import (
    CHARGE_POINT_BYTES,
    CONDUCTOR_BYTES,
    TLS_BYTES,
    WORKER_BYTES,
    easy_ports,
    free_memory,
    raise_descriptor_limit,
)
from loadsim.scenario.load_profile import planned_online
from loadsim.scenario.plan import MOST_PROCESSES, Plan
from loadsim.units import format_bytes

DESCRIPTORS_OF_ITS_OWN: Final = 128
"""Descriptors that a worker needs besides its sockets."""
DESCRIPTORS_A_WORKER: Final = 7
"""Descriptors that the conductor needs for each worker while it starts it."""
CHARGE_POINTS_A_WORKER: Final = 5_000
"""With more a second core helps, where there is one."""
CSMS_BYTES: Final = 40_000_000
"""Memory of each process of the embedded CSMS without connections."""
CONNECTION_BYTES: Final = 28_000
"""Memory of the embedded CSMS for each connection (measured: 22.5 to 23.5 kB)."""
_LINUX_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OTHER_PORTS: Final = 16_384


def most_online(plan: Plan) -> int:
    """Return the most charge points that the plan has online at a time."""
    moments = [0.0]
    for stage in plan.stages:
        moments += [moments[-1], moments[-1] + stage.duration]
    edges = [moment + shift for moment in moments for shift in (0.0, -1e-9) if moment + shift >= 0]
    return max(sum(planned_online(plan.stages, fleet.name, edge) for fleet in plan.fleets) for edge in edges)


def cores() -> int:
    """Return the cores that this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers(plan: Plan) -> int:
    """Return as many workers as descriptors need, and as cores allow and the fleet's size asks for.

    One core is left to the conductor, and to the embedded CSMS.
    """
    needed = _least_workers(plan, raise_descriptor_limit())
    wanted = math.ceil(plan.charge_points / CHARGE_POINTS_A_WORKER)
    return max(needed, min(wanted, max(1, cores() - 1)), 1)


def check_machine(plan: Plan, workers: int) -> None:
    """Refuse what cannot be: more sockets than descriptors or ports, more charge points than memory holds.

    Raises:
        PreflightFailed: it says what is missing and what to do.
    """
    limit = raise_descriptor_limit()
    online = most_online(plan)
    _check_descriptors(plan, workers, online, limit)
    addresses = max(1, len(plan.target.source_addresses))
    ports = ephemeral_ports()
    if online > ports * addresses:
        easy = math.ceil(online / easy_ports(ports))
        raise PreflightFailed(
            f"too few ports: {online:,} connections to one CSMS need {math.ceil(online / ports)} source addresses "
            f"of {ports:,} ports each, and there are {addresses}; set csms.source_addresses, best {easy} of them"
        )
    needed, free = memory_needed(plan, workers), free_memory()
    if needed > free:
        raise PreflightFailed(
            f"too little memory: {plan.charge_points:,} charge points in {workers} worker(s) need at least "
            f"{format_bytes(needed)}, and {format_bytes(free)} are free; take fewer charge points, or more memory"
        )


def warnings_of(plan: Plan) -> list[str]:
    """Say what this machine can do, and at a price: so many connections an address that each takes long to make."""
    online, addresses, ports = most_online(plan), max(1, len(plan.target.source_addresses)), ephemeral_ports()
    each, easy = math.ceil(online / addresses), easy_ports(ports)
    if not easy < each <= ports:  # with fewer than there must be it is refused
        return []
    return [
        f"{each:,} connections from a source address of {ports:,} ports: from {easy:,} on, each costs this machine "
        f"about 1 ms to make; give {math.ceil(online / easy)} csms.source_addresses"
    ]


def memory_needed(plan: Plan, workers: int) -> int:
    """Return the bytes that the run takes at least: conductor, workers, their charge points, the embedded CSMS."""
    idle, _ = charge_point_bytes(plan)
    needed = CONDUCTOR_BYTES + workers * WORKER_BYTES + plan.charge_points * idle
    if plan.embedded is not None:
        holding = plan.embedded.processes
        needed += (holding + (holding > 1)) * CSMS_BYTES + most_online(plan) * CONNECTION_BYTES
    return needed


def charge_point_bytes(plan: Plan) -> tuple[int, int]:
    """Return the bytes that a charge point of *plan* takes: idle, and when it charges and has reconnected."""
    idle, busy = CHARGE_POINT_BYTES
    if urlsplit(plan.target.url or "").scheme == "wss":
        first, later = TLS_BYTES
        return idle + first, busy + later
    return idle, busy


def csms_descriptors(online: int, processes: int) -> int:
    """Return the descriptors that the fullest process of the embedded CSMS needs.

    The system deals connections out to several as dice would: none has more than five standard deviations beyond
    its share, but for one run in a million.
    """
    share = online / processes
    return math.ceil(share + 5 * math.sqrt(share) * (processes > 1)) + DESCRIPTORS_OF_ITS_OWN


def _check_descriptors(plan: Plan, workers: int, online: int, limit: int) -> None:
    least = _least_workers(plan, limit)
    sockets = math.ceil(plan.charge_points / workers) + DESCRIPTORS_OF_ITS_OWN
    more_workers = f"use --workers {least}, or " if workers < least and _needed_to_start(least) <= limit else ""
    processes = 1 if plan.embedded is None else plan.embedded.processes
    more = next((n for n in range(processes, MOST_PROCESSES + 1) if csms_descriptors(online, n) <= limit), None)
    more_processes = f"set csms.embedded.processes to {more}, or " if more is not None else ""
    for whose, needed, cure in (
        (f"{workers} worker(s) need {{}} each and", sockets, more_workers),
        (f"the conductor needs {{}} to start {workers} worker(s), and each process", _needed_to_start(workers), ""),
        (
            f"{processes} process(es) of the embedded CSMS need {{}} each and",
            0 if plan.embedded is None else csms_descriptors(online, processes),
            more_processes,
        ),
    ):
        if needed > limit:
            raise PreflightFailed(
                f"too few descriptors: {whose.format(f'{needed:,}')} may open {limit:,}; "
                f"{cure}raise the hard limit (ulimit -Hn)"
            )


def _least_workers(plan: Plan, limit: int) -> int:
    """Return the fewest workers whose sockets fit into their descriptors, as far as any number does."""
    return math.ceil(plan.charge_points / max(limit - DESCRIPTORS_OF_ITS_OWN, 1))


def _needed_to_start(workers: int) -> int:
    return DESCRIPTORS_OF_ITS_OWN // 2 + DESCRIPTORS_A_WORKER * workers


def ephemeral_ports() -> int:
    """Return how many connections one source address can have to one destination."""
    with suppress(OSError, ValueError):
        low, high = map(int, _LINUX_PORTS.read_text(encoding="ascii").split())
        return high - low + 1
    return _OTHER_PORTS
