"""Downloads and uploads over HTTP(S) and FTP, as a thread does them (RFC 9110, RFC 959); `transfer` runs the threads.

Nothing that a server does raises out of here; a transfer ends as a `Result`.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from ftplib import FTP, error_perm
from ftplib import Error as FtpError
from functools import cache, partial
from typing import Final, Literal

from loadsim.charge_point.location import credentials, is_real

MOST_BYTES: Final = 1 << 30
"""A download that is longer fails."""

MOST_SECONDS: Final = 600.0
"""A transfer that takes longer fails."""

_BLOCK: Final = 1 << 18  # few and large reads: each takes the interpreter away from the measuring loop
_SILENCE: Final = 30.0
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_LINES: Final = 1000

Cause = Literal["", "failed", "permission_denied", "unsupported", "bad_message"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a transfer ended: *cause* is "" where it went well. *size* in bytes; *sha256* is of what was downloaded."""

    cause: Cause = ""
    detail: str = ""
    size: int = 0
    sha256: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether all of it was transferred."""
        return not self.cause


class _Failed(Exception):
    """The transfer came to nothing."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


class Patience:
    """Says when a thread has to stop: its time is up, or nobody waits for it any more."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + MOST_SECONDS
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Say that nobody waits any more."""
        self._given_up.set()

    def check(self) -> None:
        """Raise where the thread has to stop."""
        if self._given_up.is_set() or time.monotonic() > self._deadline:
            raise _Failed("failed", "took too long")


Work = Callable[[str, Collection[str], Patience], Result]


def settled(
    work: Work,
    location: str,
    hosts: Collection[str],
    patience: Patience,
) -> Result:
    """Do *work* with a location, and say how it ended."""
    try:
        if not is_real(location, hosts):
            raise _Failed("permission_denied", "no host that may be reached")
        return work(location, hosts, patience)
    except _Failed as failed:
        return Result(failed.cause, str(failed))
    except urllib.error.HTTPError as error:
        with closing(error):
            return Result(_cause_of_status(error.code), f"HTTP {error.code}")
    except FtpError as error:
        return Result(_cause_of_reply(str(error)), _line(error))
    except http.client.HTTPException as error:
        return Result("bad_message", _line(error))
    except (OSError, EOFError, ValueError, OverflowError) as error:  # the network's, and what a server makes of it
        return Result("failed", _line(error))


def download(location: str, hosts: Collection[str], patience: Patience) -> Result:
    """Download what is at *location*, count and hash it, and throw it away."""
    if _scheme(location) == "ftp":
        with closing(_ftp_blocks(location)) as blocks:
            return _received(blocks, patience)
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            answer = _open(location, "GET")
        except urllib.error.HTTPError as error:
            with closing(error):
                location = _redirected(location, error, hosts)
            patience.check()
            continue
        with answer:
            if answer.status != http.client.OK:
                raise _Failed(_cause_of_status(answer.status), f"HTTP {answer.status}")
            result = _received(iter(partial(answer.read1, _BLOCK), b""), patience)
            if answer.length:  # http.client takes an answer that is cut short for its end
                raise _Failed("failed", f"{answer.length} bytes are missing")
            return result
    raise _Failed("failed", f"more than {_MOST_REDIRECTS} redirects")


def _received(blocks: Iterator[bytes], patience: Patience) -> Result:
    digest, count = hashlib.sha256(), 0
    for block in blocks:
        patience.check()
        digest.update(block)
        count += len(block)
        if count > MOST_BYTES:
            raise _Failed("failed", f"longer than {MOST_BYTES} bytes")
    return Result(size=count, sha256=digest.digest())


def upload(
    file_name: str, content: Callable[[], bytes], location: str, hosts: Collection[str], patience: Patience
) -> Result:
    """Upload *content* by PUT, or POST where PUT is not allowed, or by FTP."""
    data = content()
    if _scheme(location) == "ftp":
        _ftp_store(location, file_name, data, patience)
        return Result(size=len(data))
    parts = urllib.parse.urlsplit(location)
    if parts.path.endswith("/") or not parts.path:
        location = parts._replace(path=(parts.path or "/") + urllib.parse.quote(file_name)).geturl()
    try:
        _open(location, "PUT", data).close()
    except urllib.error.HTTPError as error:
        with closing(error):
            if error.code != http.client.METHOD_NOT_ALLOWED:
                raise
        patience.check()
        _open(location, "POST", data).close()
    return Result(size=len(data))


# HTTP.


def _open(location: str, method: str, data: bytes | None = None) -> http.client.HTTPResponse:
    """Send a request and return its answer, of which the head has come.

    Raises:
        HTTPError: its status is not one of success.
    """
    parts = urllib.parse.urlsplit(location)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    request = urllib.request.Request(bare, data=data, method=method)  # noqa: S310 - the scheme is checked
    request.add_header("User-Agent", "loadsim")
    if data is not None:
        request.add_header("Content-Type", "text/plain; charset=utf-8")
    if parts.username is not None:
        token = base64.b64encode(":".join(credentials(parts)).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    # By hand: build_opener adds proxies, which are hosts that nobody allowed, files and data URLs.
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    if parts.scheme == "https":
        opener.add_handler(urllib.request.HTTPSHandler(context=_tls()))
    else:
        opener.add_handler(urllib.request.HTTPHandler())
    answer: http.client.HTTPResponse = opener.open(request, timeout=_SILENCE)
    return answer


@cache
def _tls() -> ssl.SSLContext:
    # One for all: reading the authorities' certificates takes tens of milliseconds.
    return ssl.create_default_context()


def _redirected(location: str, error: urllib.error.HTTPError, hosts: Collection[str]) -> str:
    """Return where an answer sends us, if we may go there; else its error is what the download came to."""
    target = error.headers.get("Location")
    if error.code not in _REDIRECTS or target is None:
        raise error
    target = urllib.parse.urljoin(location, target)
    if _scheme(target) == "ftp" or not is_real(target, hosts):
        raise _Failed("permission_denied", "redirected to a host that may not be reached")
    return target


def _cause_of_status(status: int) -> Cause:
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return "permission_denied"
    if status in (http.client.METHOD_NOT_ALLOWED, http.client.NOT_IMPLEMENTED):
        return "unsupported"
    return "bad_message" if status == http.client.BAD_REQUEST else "failed"


# FTP (RFC 959), passive.


class _Ftp(FTP):
    """A session whose server cannot talk for ever."""

    lines = 0

    def getline(self) -> str:
        self.lines += 1
        if self.lines > _MOST_LINES:
            raise _Failed("bad_message", f"more than {_MOST_LINES} lines")
        return super().getline()


def _ftp(location: str) -> tuple[FTP, str]:
    """Log in; return the session and the path that *location* names."""
    parts = urllib.parse.urlsplit(location)
    path = urllib.parse.unquote(parts.path).removeprefix("/")
    if any(ord(letter) < 32 for letter in path):
        raise _Failed("bad_message", "a path of FTP is one line")
    ftp = _Ftp(timeout=_SILENCE)
    try:
        ftp.connect(parts.hostname or "", parts.port or 21)
        ftp.login(*(credentials(parts) if parts.username is not None else ("", "")))
    except BaseException:
        ftp.close()
        raise
    return ftp, path


def _ftp_blocks(location: str) -> Generator[bytes, None, None]:
    ftp, path = _ftp(location)
    with closing(ftp):
        ftp.voidcmd("TYPE I")
        with closing(ftp.transfercmd(f"RETR {path}")) as data:
            while block := data.recv(_BLOCK):
                yield block
        ftp.voidresp()


def _ftp_store(location: str, file_name: str, data: bytes, patience: Patience) -> None:
    ftp, path = _ftp(location)
    with closing(ftp):
        try:
            if path:
                ftp.cwd(path)
        except error_perm:
            folder, _, named = path.rpartition("/")
            if folder:
                ftp.cwd(folder)
            file_name = named or file_name
        ftp.voidcmd("TYPE I")
        with closing(ftp.transfercmd(f"STOR {file_name}")) as connection:
            for begin in range(0, len(data), _BLOCK):
                patience.check()
                connection.sendall(data[begin : begin + _BLOCK])
        ftp.voidresp()


def _cause_of_reply(reply: str) -> Cause:
    if reply[:3] in ("530", "532", "550", "553"):
        return "permission_denied"
    return "unsupported" if reply[:3] in ("500", "501", "502", "504") else "failed"


def _scheme(location: str) -> str:
    return urllib.parse.urlsplit(location).scheme


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
