"""CSMSs in processes of their own, against which the simulator is tested: none of them shares its code.

with start("truth_server", "--latency", "fixed:20") as peer:
    ...  # against peer.url
    record = peer.finish()
"""

import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
ROOT = HERE.parents[__name__.count(".")]  # the folder the package is imported from
OLDEST_NODE = 18
INSTALL_TIMEOUT = 60.0  # seconds


@dataclass(slots=True, kw_only=True)
class Peer:
    """A running peer."""

    url: str  # the charge point's identity is to be appended: f"{url}/CP1"
    process: subprocess.Popen[bytes]
    _lines: "queue.Queue[bytes | None]" = field(repr=False)
    _errors: IO[bytes] = field(repr=False)

    def finish(self, timeout: float = 15.0) -> dict[str, Any]:
        """End the peer and give its record.

        Raises:
            AssertionError: it gave none within *timeout* seconds, or ended with an error.
        """
        _end_stdin(self.process)
        record = _next_line(self._lines, timeout)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        assert record is not None, f"no record, exit code {code}: {_tail(self._errors)}"
        assert code == 0, f"exit code {code}: {_tail(self._errors)}"
        counted: dict[str, Any] = json.loads(record)
        return counted


@contextmanager
def start(name: str, *arguments: str, timeout: float = 30.0) -> Iterator[Peer]:
    """Run the peer *name* while the block lasts: a module here, `ocpp_rpc_central`, or `sink`.

    Raises:
        AssertionError: it did not listen within *timeout* seconds.
    """
    lines: queue.Queue[bytes | None] = queue.Queue()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*_command(name), "--port", "0", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            line = _next_line(lines, timeout)
            assert line is not None, f"{name} does not listen: {_tail(errors)}"
            yield Peer(url=json.loads(line)["url"], process=process, _lines=lines, _errors=errors)
        finally:
            if process.poll() is None:
                process.kill()  # its own id, and nobody else's; finish() has been the way to end in peace
            process.wait()
            _end_stdin(process)
            reader.join()


class NodeMissing(Exception):
    """Node, or the packages that are needed of it, cannot be had here; the message says why."""


def node_or_skip() -> str:
    """Give the path of Node, with the packages of `package.json` installed; or skip the test, saying why."""
    import pytest  # noqa: PLC0415 -- the peers themselves import this package too, and need no pytest

    try:
        return node_with_packages(HERE)
    except NodeMissing as missing:
        pytest.skip(str(missing))


def node_with_packages(folder: Path) -> str:
    """Give the path of Node, with the packages of *folder*'s `package.json` installed there.

    Raises:
        NodeMissing: there is no Node that is new enough, or the packages cannot be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NodeMissing("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not version.startswith("v") or int(version[1:].partition(".")[0]) < OLDEST_NODE:
        raise NodeMissing(f"node {OLDEST_NODE} or newer is needed, not {version or 'one that does not run'}")
    if not _is_installed(folder):
        _install(npm, folder)
    return node


def _command(name: str) -> list[str]:
    if name == "sink":
        return [sys.executable, "-m", "benchmarks.sink"]
    if name == "ocpp_rpc_central":
        return [node_or_skip(), str(HERE / "ocpp_rpc_central.mjs")]
    return [sys.executable, "-m", f"{__name__}.{name}"]


def _is_installed(folder: Path) -> bool:
    wanted: dict[str, str] = json.loads((folder / "package.json").read_text())["dependencies"]
    manifests = {name: folder / "node_modules" / name / "package.json" for name in wanted}
    return all(
        path.is_file() and json.loads(path.read_text())["version"] == wanted[name] for name, path in manifests.items()
    )


def _install(npm: str, folder: Path) -> None:
    """Install aside and rename: several test processes may do so at once, and one may be killed at it."""
    aside = Path(tempfile.mkdtemp(prefix=".install-", dir=folder))
    modules = folder / "node_modules"
    try:
        shutil.copy(folder / "package.json", aside)
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        try:
            done = subprocess.run(
                command, cwd=aside, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            raise NodeMissing(f"npm install took more than {INSTALL_TIMEOUT:g} s") from None
        if done.returncode:
            raise NodeMissing(f"npm install failed: {done.stderr.strip()[-300:]}")
        if modules.exists() and not _is_installed(folder):
            modules.rename(aside / "outdated")
        with suppress(OSError):  # another process was first
            (aside / "node_modules").rename(modules)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if not _is_installed(folder):
        raise NodeMissing("npm install left no usable packages")


def _read(process: subprocess.Popen[bytes], lines: "queue.Queue[bytes | None]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _next_line(lines: "queue.Queue[bytes | None]", timeout: float) -> bytes | None:
    try:
        return lines.get(timeout=timeout)
    except queue.Empty:
        return None


def _end_stdin(process: subprocess.Popen[bytes]) -> None:
    """Write a line and close: the line ends the peer even if another child holds the pipe open."""
    assert process.stdin is not None
    if not process.stdin.closed:
        with suppress(OSError):  # it has ended by itself
            process.stdin.write(b"\n")
            process.stdin.flush()
        with suppress(OSError):
            process.stdin.close()


def _tail(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read()[-2000:].decode(errors="replace")
