"""How many sockets this process may open."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

UNLIMITED: Final = 1 << 20
"""What is taken for the limit where the system names none (Windows, or a hard limit of infinity)."""


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


def raise_timer_resolution() -> None:
    """Have Windows wake this process to the millisecond; its 15.6 ms would be counted as lateness."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        ctypes.windll.winmm.timeBeginPeriod(1)
