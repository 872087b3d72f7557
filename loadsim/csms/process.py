"""The embedded CSMS as a process of its own, started and ended by a run."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import IO, Any, Final

import msgspec
import trio

from loadsim.csms.options import BEGIN_CALLS, END_CALLS, ServerOptions
from loadsim.errors import PreflightFailed

_START_TIMEOUT: Final = 20.0
_END_TIMEOUT: Final = 10.0


class EmbeddedProcess:
    """A running embedded CSMS; *url* is where it listens."""

    def __init__(self, process: trio.Process, url: str) -> None:
        self._process = process
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
        answer: dict[str, Any] = {}
        try:
            with trio.move_on_after(_START_TIMEOUT):
                await process.stdin.send_all(msgspec.json.encode(options) + b"\n")
                answer = await _read_line(process)
        except (trio.BrokenResourceError, msgspec.DecodeError):
            answer = {}
        except BaseException:
            process.kill()
            raise
        if "url" not in answer:
            process.kill()
            raise PreflightFailed(f"the embedded CSMS did not start: {answer.get('error', 'see loadsim.log')}")
        return cls(process, str(answer["url"]))

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

    async def end(self) -> dict[str, Any] | None:
        """End it and return its own record of what it saw; None when it died before it could tell."""
        with trio.CancelScope(shield=True), trio.move_on_after(_END_TIMEOUT):
            assert self._process.stdin is not None
            await self._process.stdin.aclose()
            try:
                record = await _read_line(self._process)
            except msgspec.DecodeError:
                record = None
            await self._process.wait()
            return record
        self.kill()
        return None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


async def _read_line(process: trio.Process) -> dict[str, Any]:
    assert process.stdout is not None
    data = bytearray()
    while not data.endswith(b"\n"):
        part = await process.stdout.receive_some()
        if not part:
            break
        data += part
    return msgspec.json.decode(data, type=dict[str, Any])
