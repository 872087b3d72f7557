"""What a process may open and what it weighs: sockets and ports, and memory as measured, with a fifth to spare."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

import psutil

UNLIMITED: Final = 1 << 20
"""What is taken for the limit where the system names none (Windows, or a hard limit of infinity)."""
CONDUCTOR_BYTES: Final = 80_000_000
"""Memory of the conductor (measured: 65 MB)."""
WORKER_BYTES: Final = 50_000_000
"""Memory of a worker without charge points (47 MB, of which it shares a third with the others)."""
CHARGE_POINT_BYTES: Final = (11_000, 20_000)
"""Memory of a charge point: idle (8 to 9 kB), and charging with all that goes with it (13 to 16 kB)."""
TLS_BYTES: Final = (35_000, 50_000)
"""What TLS adds to it: at first (22 to 28 kB), and after a reconnect, with a session kept (up to 43 kB)."""

_DESCRIPTORS_RESERVED: Final = 32_768
"""Descriptors, for which the kernel takes 0.26 MB."""
_CGROUP: Final = Path("/sys/fs/cgroup")


def raise_descriptor_limit() -> int:
    """Raise the soft limit of descriptors to the hard one, where that is allowed; return the limit in force."""
    if sys.platform == "win32":
        return UNLIMITED
    import resource  # noqa: PLC0415 - it exists on POSIX systems only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS refuses more than its OPEN_MAX, whatever the hard limit says; the old limit then stays.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def reserve_descriptors(limit: int) -> None:
    """Have the kernel make the table of this process's descriptors now, for *limit* of them, or as many as are usual.

    Linux doubles it whenever it is full, and where there are several threads each time the one that opens something
    waits until all cores have seen it: 8 to 16 ms, which would be counted as lateness, or as the CSMS's.
    """
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - see above

    with contextlib.suppress(OSError), Path(os.devnull).open("rb") as file:  # fewer may be allowed than it says
        os.close(fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, min(limit, _DESCRIPTORS_RESERVED) - 1))


def easy_ports(ports: int, system: str = sys.platform) -> int:
    """Return how many of a source address's *ports* to one destination are found at once.

    Linux gives a connect the ports of one parity first, and tries all of them before it takes one of the other: from
    half of them on a connect takes it 850 us of CPU and not 20.
    """
    return ports // 2 if system == "linux" else ports


def free_memory(cgroup: Path = _CGROUP) -> int:
    """Return the bytes of memory that processes can still have without swapping.

    A container's own limit counts where it has one (*cgroup*, version 2), less what is used and no cache of files.
    """
    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError, KeyError):  # no such file, or "max"
        limit = int((cgroup / "memory.max").read_text(encoding="ascii"))
        used = dict(line.split() for line in (cgroup / "memory.stat").read_text(encoding="ascii").splitlines())
        free = min(free, max(limit - int(used["anon"]), 0))
    return free


def raise_timer_resolution() -> None:
    """Have Windows wake this process to the millisecond; its 15.6 ms would be counted as lateness."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        ctypes.windll.winmm.timeBeginPeriod(1)
