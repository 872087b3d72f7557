"""The embedded CSMS as a process of its own, started and ended by a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, Final

import msgspec
import trio

from loadsim.csms.options import BEGIN_CALLS, END_CALLS, ServerOptions
from loadsim.errors import PreflightFailed

_START_TIMEOUT: Final = 20.0


class EmbeddedProcess:
    """A running embedded CSMS; *url* is where it listens."""

    def __init__(self, process: trio.Process, lines: _Lines, url: str) -> None:
        self._process = process
        self._lines = lines
        self._record: dict[str, Any] | None = None
        self.url = url

    @classmethod
    async def start(cls, options: ServerOptions, log: IO[bytes]) -> EmbeddedProcess:
        """Start it and wait until it listens.

        Raises:
            PreflightFailed: it does not come up.
        """
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "loadsim.csms"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        assert process.stdin is not None
        lines = _Lines(process)
        answer: dict[str, Any] = {}
        try:
            with trio.move_on_after(_START_TIMEOUT):
                await process.stdin.send_all(msgspec.json.encode(options) + b"\n")
                answer = await lines.read() or {}
        except trio.BrokenResourceError:
            answer = {}
        except BaseException:
            process.kill()
            raise
        if "url" not in answer:
            process.kill()
            raise PreflightFailed(f"the embedded CSMS did not start: {answer.get('error', 'see loadsim.log')}")
        return cls(process, lines, str(answer["url"]))

    async def listen(self, trouble: Callable[[str], None]) -> None:
        """Take what it says by itself until its end; tell of *trouble*: a process of it has ended, or all of it."""
        while (line := await self._lines.read()) is not None:
            if "lost" in line:
                trouble(str(line["lost"]))
            else:
                self._record = line
        if self._record is None:
            trouble(f"the embedded CSMS {end_of(await self._process.wait())}")

    async def begin_calls(self) -> None:
        """Begin the planned calls and faults of a CSMS that holds them: their moments count from now on."""
        await self._say(BEGIN_CALLS)

    async def end_calls(self) -> None:
        """Let no more of the planned calls fall due, and end the faults."""
        await self._say(END_CALLS)

    async def _say(self, byte: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(trio.BrokenResourceError):  # it died; its end will show that
            await self._process.stdin.send_all(byte)

    async def end(self, patience: float) -> dict[str, Any] | None:
        """End it and return its own record of what it saw; None when it died before it could tell.

        *patience* is how many seconds it may take, which are more with many connections.
        """
        with trio.CancelScope(shield=True), trio.move_on_after(patience):
            assert self._process.stdin is not None
            await self._process.stdin.aclose()
            await self.listen(_ignore)
            await self._process.wait()
            return self._record
        self.kill()
        return None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


class _Lines:
    """What a process says, line by line; who waits for one can be cancelled, and nothing is lost."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdout is not None
        self._stdout = process.stdout
        self._buffer = bytearray()

    async def read(self) -> dict[str, Any] | None:
        """Wait for the next line; None at the end, or where a line is none of JSON."""
        while b"\n" not in self._buffer:
            try:
                part = await self._stdout.receive_some()
            except trio.BrokenResourceError:  # Windows tells the end of a pipe so
                return None
            if not part:
                return None
            self._buffer += part
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            return None


def end_of(code: int) -> str:
    """Say how a process has ended, by its exit code."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _ignore(text: str) -> None:
    """Tell nobody: the record has it."""
