"""What is said on stdout and stderr, whoever reads it or does not: a pipe that was closed, a full disk, no stream."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO, cast

from loadsim.errors import LoadsimError

_STANDARD: Final = 3


class _Guarded:
    """A stream that goes quiet where nobody reads any more, or nothing more can be written.

    With *told*, only the first is quiet: that what was asked for is lost must be known.
    """

    def __init__(self, stream: TextIO, *, told: bool) -> None:
        self.stream = stream
        self._told = told
        self._gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        if not self._gone:
            try:
                self.stream.write(text)
            except OSError as error:
                self._leave(error)
        return len(text)

    def flush(self) -> None:
        if not self._gone:
            try:
                self.stream.flush()
            except OSError as error:
                self._leave(error)

    def _leave(self, error: OSError) -> None:
        self._gone = True
        with suppress(OSError, ValueError):  # what is left in the buffer would fail again at the process's end
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        # Windows says EINVAL of a pipe that nobody reads.
        if self._told and error.errno not in (errno.EPIPE, errno.EINVAL):
            raise LoadsimError(f"stdout cannot be written: {error.strerror or error}") from error


def unless_gone(stream: TextIO) -> TextIO:
    """Return *stream* so that nothing that becomes of it is an error.

    `loadsim run ... | head` must neither end a run of eight hours in its middle nor change its exit code.
    """
    inner = stream.stream if isinstance(stream, _Guarded) else stream
    return cast("TextIO", _Guarded(inner, told=False))


def prepare_streams() -> None:
    """Give this process stdin, stdout and stderr, whatever it was started with, and have stdout's loss be told.

    A descriptor that was closed would be the next file's, with all that is said written into it. What stdout cannot
    encode, such as a file's name that is no text, is escaped.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end of the process
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end of the process
    with suppress(AttributeError):
        cast("Any", sys.stdout).reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", _Guarded(sys.stdout, told=True))


def print_json(content: Any, stream: TextIO) -> None:
    """Print *content* on *stream*: one of another encoding than UTF-8 gets ASCII, which is the same JSON."""
    unicode = (stream.encoding or "").replace("-", "").casefold() == "utf8"
    print(json.dumps(content, indent=2, ensure_ascii=not unicode), file=stream, flush=True)
