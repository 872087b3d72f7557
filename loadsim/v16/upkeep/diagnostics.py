"""Uploads of diagnostics and logs (OCPP 1.6, sections 4.4 and 5.9; white paper on security, N01).

Of each kind one is under way at a time: a newer request replaces it. The upload goes on while there is no
connection: what is to be said of it waits for the next one. A reboot cuts it off (`upkeep`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import trio
from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.transfer import upload
from loadsim.charge_point.transfer_thread import Cause
from loadsim.v16.memory import may_send_triggered, memory_of
from loadsim.v16.messages.firmware import DiagnosticsStatus, DiagnosticsStatusNotificationRequest
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.security import Log, LogStatusNotificationRequest, UploadLogStatus
from loadsim.v16.security import security_log
from loadsim.v16.upkeep.notices import DiagnosticsNotice, LogNotice, announce
from loadsim.v16.upkeep.transfers import Errand, picked, transfer

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


class Upload:
    """One upload: the charge point's *number*-th; *request_id* is that of a GetLog.

    A newer one cancels its *scope*, and nothing more is said of it; cancelling *cut* has it fail.
    """

    __slots__ = ("content", "cut", "errand", "file_name", "number", "request_id", "scope")

    def __init__(
        self, number: int, errand: Errand, file_name: str, content: Callable[[], bytes], request_id: int | None
    ) -> None:
        self.number = number
        self.errand = errand
        self.file_name = file_name
        self.content = content
        self.request_id = request_id
        self.scope = trio.CancelScope()
        self.cut = trio.CancelScope()


class Uploads:
    """The uploads of a charge point: *begun* so far, and those under way."""

    __slots__ = ("begun", "diagnostics", "log")

    def __init__(self) -> None:
        self.begun = 0
        self.diagnostics: Upload | None = None
        self.log: Upload | None = None

    def interrupt(self) -> None:
        """Cut off the uploads under way."""
        for upload_under_way in (self.diagnostics, self.log):
            if upload_under_way is not None:
                upload_under_way.cut.cancel()


def begin_diagnostics(
    charge_point: ChargePoint, errand: Errand, since: datetime | None, until: datetime | None
) -> str | None:
    """Begin to upload diagnostics; return the file's name, None where there is none of that time, or no way."""
    this = _upload(charge_point, "DiagnosticsLog", errand, since, until)
    if this is None:
        return None
    uploads = _uploads(charge_point)
    earlier, uploads.diagnostics = uploads.diagnostics, this
    _begin(charge_point, this, earlier)
    return this.file_name


def begin_log(
    charge_point: ChargePoint,
    kind: Log,
    request_id: int,
    errand: Errand,
    since: datetime | None,
    until: datetime | None,
) -> tuple[str, bool] | None:
    """Begin to upload a log; return the file's name and whether an upload was cancelled for it, None: no upload."""
    this = _upload(charge_point, kind, errand, since, until, request_id)
    if this is None:
        return None
    uploads = _uploads(charge_point)
    earlier, uploads.log = uploads.log, this
    _begin(charge_point, this, earlier)
    return this.file_name, earlier is not None


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
    if uploads is not None and uploads.log is not None:
        request = _log_status(uploads.log, "Uploading")
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


def _upload(
    charge_point: ChargePoint,
    kind: Log,
    errand: Errand,
    since: datetime | None,
    until: datetime | None,
    request_id: int | None = None,
) -> Upload | None:
    """Prepare an upload; None where there is nothing of that time, or no way to send it."""
    content = _content(charge_point, kind, since, until)
    if content is None or not errand.supported or charge_point.over:
        return None
    uploads = _uploads(charge_point)
    uploads.begun += 1
    name = "security" if kind == "SecurityLog" else "diagnostics"
    safe = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in charge_point.identity)
    ending = f"-{uploads.begun}.log"
    file_name = f"{name}-{safe}"[: _LONGEST_NAME - len(ending)] + ending
    return Upload(uploads.begun, errand, file_name, content, request_id)


def _begin(charge_point: ChargePoint, this: Upload, earlier: Upload | None) -> None:
    if earlier is not None:
        earlier.scope.cancel()
    charge_point.spawn(_run, charge_point, this)


async def _run(charge_point: ChargePoint, this: Upload) -> None:
    settings, purpose = charge_point.settings, f"upload {this.number}"
    with this.scope:
        try:
            draws = charge_point.draws(purpose)
            _say(charge_point, this, "Uploading", "Uploading")
            result = await transfer(
                charge_point,
                this.errand,
                lambda: upload(this.errand.location, settings.transfer_hosts, this.file_name, this.content),
                lambda: settings.diagnostics.upload.draw(draws.uniform()),
                fails=picked(charge_point, purpose, settings.diagnostics.failures) is not None,
                cut=this.cut,
            )
            if result.ok:
                _say(charge_point, this, "Uploaded", "Uploaded")
            else:
                _say(charge_point, this, "UploadFailed", _FAILURES.get(result.cause, "UploadFailure"))
        finally:
            uploads = _uploads(charge_point)
            if uploads.diagnostics is this:
                uploads.diagnostics = None
            if uploads.log is this:
                uploads.log = None


def _say(charge_point: ChargePoint, this: Upload, plain: DiagnosticsStatus, log: UploadLogStatus) -> None:
    if this.request_id is None:
        request = DiagnosticsStatusNotificationRequest(status=plain)
        announce(charge_point, DiagnosticsNotice(charge_point, request, this.number))
    else:
        announce(charge_point, LogNotice(charge_point, _log_status(this, log), this.number))


def _log_status(this: Upload, status: UploadLogStatus) -> LogStatusNotificationRequest:
    return LogStatusNotificationRequest(
        status=status, request_id=UNSET if this.request_id is None else this.request_id
    )
