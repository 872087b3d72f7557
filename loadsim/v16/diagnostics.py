"""Uploads of diagnostics and logs (OCPP 1.6, sections 4.4 and 5.9; white paper on security, N01).

Of each kind one is under way at a time: a newer request replaces it. The upload goes on while there is no
connection: what is to be said of it waits for the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec
import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.transfer import upload
from loadsim.charge_point.transfer_thread import Cause
from loadsim.v16.memory import may_send_triggered, memory_of
from loadsim.v16.messages.firmware import DiagnosticsStatus, DiagnosticsStatusNotificationRequest
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.security import Log, LogStatusNotificationRequest, UploadLogStatus
from loadsim.v16.notices import DiagnosticsStatus as DiagnosticsNotice
from loadsim.v16.notices import LogStatus as LogNotice
from loadsim.v16.notices import announce
from loadsim.v16.security import security_log
from loadsim.v16.transfers import Errand, picked, transfer

_KEPT: Final = timedelta(days=1)
_LONGEST_NAME: Final = 255
_FAILURES: Final[dict[Cause, UploadLogStatus]] = {
    "bad_message": "BadMessage",
    "permission_denied": "PermissionDenied",
    "unsupported": "NotSupportedOperation",
}
_LINES: Final = (
    "modem: signal {a} dBm, cell {b}",
    "power: L1 {v1} V, L2 {v2} V, L3 {v3} V",
    "board: {t} degrees, fan at {b} %",
    "meter: self-test passed, {a} ms",
    "lock: connector {c} checked",
    "memory: {b} % in use",
)


class Upload(msgspec.Struct, kw_only=True):
    """One upload that is under way; *request_id* is that of a GetLog."""

    scope: trio.CancelScope
    request_id: int | None = None


class Uploads:
    """The uploads of a charge point: *begun* so far, and those under way."""

    __slots__ = ("begun", "diagnostics", "log")

    def __init__(self) -> None:
        self.begun = 0
        self.diagnostics: Upload | None = None
        self.log: Upload | None = None


def begin_diagnostics(
    charge_point: ChargePoint, todo: Errand, since: datetime | None, until: datetime | None
) -> str | None:
    """Begin to upload diagnostics; return the file's name, None where there is none of that time, or no way."""
    content = _content(charge_point, "DiagnosticsLog", since, until)
    if content is None or not todo.supported or charge_point.over:
        return None
    uploads = _uploads(charge_point)
    if uploads.diagnostics is not None:
        uploads.diagnostics.scope.cancel()
    uploads.diagnostics = Upload(scope=trio.CancelScope())
    return _begin(charge_point, "diagnostics", uploads.diagnostics, todo, content)


def begin_log(
    charge_point: ChargePoint,
    kind: Log,
    request_id: int,
    todo: Errand,
    since: datetime | None,
    until: datetime | None,
) -> tuple[str, bool] | None:
    """Begin to upload a log; return the file's name and whether an upload was cancelled for it, None: none."""
    content = _content(charge_point, kind, since, until)
    if content is None or not todo.supported or charge_point.over:
        return None
    uploads = _uploads(charge_point)
    cancelled = uploads.log is not None
    if uploads.log is not None:
        uploads.log.scope.cancel()
    uploads.log = Upload(scope=trio.CancelScope(), request_id=request_id)
    name = "security" if kind == "SecurityLog" else "diagnostics"
    return _begin(charge_point, name, uploads.log, todo, content), cancelled


async def send_diagnostics_status(charge_point: ChargePoint, due: float) -> None:
    """Say how the upload of diagnostics goes because the CSMS asks; Idle where there is none (section 4.4).

    Raises:
        CallFailed: no valid answer.
    """
    uploads = memory_of(charge_point).uploads
    idle = uploads is None or uploads.diagnostics is None
    request = DiagnosticsStatusNotificationRequest(status="Idle" if idle else "Uploading")
    await charge_point.call(DiagnosticsNotice.action, request, due=due, allowed=may_send_triggered)


async def send_log_status(charge_point: ChargePoint, due: float) -> None:
    """Say how the upload of a log goes because the CSMS asks; Idle where there is none (N01.FR.12).

    Raises:
        CallFailed: no valid answer.
    """
    uploads = memory_of(charge_point).uploads
    request = LogStatusNotificationRequest(status="Idle")
    if uploads is not None and uploads.log is not None and uploads.log.request_id is not None:
        request = LogStatusNotificationRequest(status="Uploading", request_id=uploads.log.request_id)
    await charge_point.call(LogNotice.action, request, due=due, allowed=may_send_triggered)


def diagnostics_text(identity: str, since: datetime, until: datetime, size: int) -> bytes:
    """Write *size* bytes of what a charge point might have noted from *since* to *until*; the same every time."""
    draws = Draws(0, identity, 0, format_date_time(since))
    count = max(size // 60, 1)
    step = (until - since) / count
    lines: list[str] = []
    length = 0
    while length < size:
        number = len(lines)
        line = f"{format_date_time(min(since + number * step, until))} {_line(identity, draws)}\n"
        lines.append(line)
        length += len(line.encode())
    return "".join(lines).encode()[:size]


def _line(identity: str, draws: Draws) -> str:
    volts = [f"{draws.between(226, 234):.1f}" for _ in range(3)]
    return f"{identity} " + _LINES[draws.below(len(_LINES))].format(
        a=-50 - draws.below(45),
        b=draws.below(100),
        c=1 + draws.below(2),
        t=20 + draws.below(30),
        v1=volts[0],
        v2=volts[1],
        v3=volts[2],
    )


def _content(
    charge_point: ChargePoint, kind: Log, since: datetime | None, until: datetime | None
) -> Callable[[], bytes] | None:
    """Return what makes the file when it is its turn; None where there is nothing of that time."""
    if kind == "SecurityLog":
        events = security_log(charge_point, since, until)
        return partial(bytes, events) if events else None
    times = _times(charge_point, since, until)
    size = charge_point.settings.diagnostics.size
    return None if times is None else partial(diagnostics_text, charge_point.identity, *times, size)


def _times(
    charge_point: ChargePoint, since: datetime | None, until: datetime | None
) -> tuple[datetime, datetime] | None:
    """Return the times of which there are notes, among those asked for."""
    now = charge_point.now()
    end = now if until is None else min(until, now)
    try:
        begin = max(now - _KEPT, since) if since is not None else now - _KEPT
    except OverflowError:  # the CSMS says it is the year 1
        return None
    return None if begin > end else (begin, end)


def _uploads(charge_point: ChargePoint) -> Uploads:
    memory = memory_of(charge_point)
    if memory.uploads is None:
        memory.uploads = Uploads()
    return memory.uploads


def _begin(charge_point: ChargePoint, name: str, this: Upload, todo: Errand, content: Callable[[], bytes]) -> str:
    uploads = _uploads(charge_point)
    uploads.begun += 1
    ending = f"-{uploads.begun}.log"
    safe = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in charge_point.identity)
    file_name = f"{name}-{safe}"[: _LONGEST_NAME - len(ending)] + ending
    charge_point.spawn(_run, charge_point, this, todo, file_name, content, uploads.begun)
    return file_name


async def _run(
    charge_point: ChargePoint, this: Upload, todo: Errand, file_name: str, content: Callable[[], bytes], number: int
) -> None:
    uploads, settings = _uploads(charge_point), charge_point.settings.diagnostics
    with this.scope:
        try:
            draws = charge_point.draws(f"upload {number}")
            _say(charge_point, this, "Uploading", "Uploading")
            result = await transfer(
                charge_point,
                todo,
                lambda: upload(todo.location, charge_point.settings.transfer_hosts, file_name, content),
                lambda: settings.upload.draw(draws.uniform()),
                fails=picked(charge_point, f"upload {number}", settings.failures) is not None,
            )
            if result.ok:
                _say(charge_point, this, "Uploaded", "Uploaded")
            else:
                _say(charge_point, this, "UploadFailed", _FAILURES.get(result.cause, "UploadFailure"))
        finally:
            if uploads.diagnostics is this:
                uploads.diagnostics = None
            if uploads.log is this:
                uploads.log = None


def _say(charge_point: ChargePoint, this: Upload, plain: DiagnosticsStatus, log: UploadLogStatus) -> None:
    if this.request_id is None:
        announce(charge_point, DiagnosticsNotice(charge_point, DiagnosticsStatusNotificationRequest(status=plain)))
    else:
        request = LogStatusNotificationRequest(status=log, request_id=this.request_id)
        announce(charge_point, LogNotice(charge_point, request))
