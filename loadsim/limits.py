"""What a process may open and what it weighs: sockets, and memory as measured (docs/design/0010-figures.md)."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import psutil

UNLIMITED: Final = 1 << 20
"""What is taken for the limit where the system names none (Windows, or a hard limit of infinity)."""
WORKER_BYTES: Final = 45_000_000
"""Memory of a worker without charge points, and of the conductor."""
CHARGE_POINT_BYTES: Final = (35_000, 60_000)
"""Memory of a charge point: idle, and charging with all that goes with it."""

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
