"""What there is to know of this machine, gathered without changing anything but this process's own limits."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from loadsim.limits import UNLIMITED, free_memory, raise_descriptor_limit, raise_timer_resolution
from loadsim.preflight import cores, ephemeral_ports

LIBRARIES: Final = {
    "h11": "h11",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "rich": "rich",
    "ruamel.yaml": "ruamel.yaml",
    "trio": "trio",
    "trio-websocket": "trio_websocket",
    "typer": "typer",
}
"""What loadsim needs, by its name in a package index, and the module of it."""
OPTIONAL: Final = {"cryptography": "cryptography"}

_NAPS: Final = 40
_NAP: Final = 0.001
_CPU_LOOK: Final = 0.3
_PROC: Final = Path("/proc/sys")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The machine as it was found; None is what cannot be known. Bytes, seconds, shares."""

    system: str
    """``linux``, ``darwin`` or ``win32``, as `sys.platform` says."""
    system_text: str = ""
    soft_descriptors: int | None = None
    hard_descriptors: int | None = None
    descriptors: int
    """The limit in force for a run, which raises the soft one to the hard one."""
    ports: int
    cores: int
    all_cores: int
    busy: float
    """The share of all cores that others use now."""
    free_memory: int
    memory: int
    free_disk: int | None = None
    somaxconn: int | None = None
    conntrack: int | None = None
    """Connections that the packet filter can follow, where one does."""
    clock_resolution: float
    oversleep: float
    """By how much a sleep of a millisecond is late, the median."""
    loopback: str = ""
    """Why no connection to 127.0.0.1 can be made; empty where one can."""
    source_addresses: bool = False
    """Whether 127.0.0.2 is an address of this machine: with it run as many more against a CSMS on it."""
    python: str
    libraries: dict[str, str | None] = field(default_factory=dict)
    """Versions by name, None where it cannot be imported."""
    optional: dict[str, str | None] = field(default_factory=dict)
    tls: str = ""
    tls13: bool = True
    authorities: int = 0
    """CA certificates that a server's is held against."""


def gather() -> Facts:
    """Look at this machine; it takes about half a second."""
    soft, hard = _descriptor_limits()
    raise_timer_resolution()
    psutil.cpu_percent()
    oversleep = _oversleep()
    context = ssl.create_default_context()
    return Facts(
        system=sys.platform,
        system_text=platform.platform(),
        soft_descriptors=soft,
        hard_descriptors=hard,
        descriptors=raise_descriptor_limit(),
        ports=ephemeral_ports(),
        cores=cores(),
        all_cores=os.cpu_count() or 1,
        busy=psutil.cpu_percent(_CPU_LOOK) / 100,
        free_memory=free_memory(),
        memory=int(psutil.virtual_memory().total),
        free_disk=_free_disk(),
        somaxconn=_setting("net/core/somaxconn", "kern.ipc.somaxconn"),
        conntrack=_setting("net/netfilter/nf_conntrack_max"),
        clock_resolution=time.get_clock_info("monotonic").resolution,
        oversleep=oversleep,
        loopback=_loopback_problem(),
        source_addresses=_has_address("127.0.0.2"),
        python=platform.python_version(),
        libraries={name: _version(name, module) for name, module in LIBRARIES.items()},
        optional={name: _version(name, module) for name, module in OPTIONAL.items()},
        tls=ssl.OPENSSL_VERSION,
        tls13=ssl.HAS_TLSv1_3,
        authorities=context.cert_store_stats()["x509_ca"],
    )


def _descriptor_limits() -> tuple[int | None, int | None]:
    if sys.platform == "win32":
        return None, None
    import resource  # noqa: PLC0415 - it exists on POSIX systems only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return tuple(UNLIMITED if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard))  # type: ignore[return-value]


def _oversleep() -> float:
    late = []
    for _ in range(_NAPS):
        begun = time.perf_counter()
        time.sleep(_NAP)
        late.append(time.perf_counter() - begun - _NAP)
    return statistics.median(late)


def _free_disk() -> int | None:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(Path.cwd()).free
    return None


def _setting(linux: str, macos: str = "") -> int | None:
    """Return a number of the kernel's settings, by its name on Linux and on macOS."""
    if sys.platform == "darwin" and macos:
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", macos]
            return int(subprocess.run(command, capture_output=True, timeout=2, check=True).stdout)  # noqa: S603
        return None
    with contextlib.suppress(OSError, ValueError):
        return int((_PROC / linux).read_text(encoding="ascii"))
    return None


def _loopback_problem() -> str:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(2)
            with socket.create_connection(server.getsockname()[:2], timeout=2):
                server.accept()[0].close()
    except OSError as error:
        return str(error)
    return ""


def _has_address(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _version(name: str, module: str) -> str | None:
    try:
        importlib.import_module(module)
        return importlib.metadata.version(name)
    except (ImportError, importlib.metadata.PackageNotFoundError, OSError):
        return None
