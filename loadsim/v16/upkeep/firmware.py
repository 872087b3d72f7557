"""Updates of the firmware (OCPP 1.6, sections 4.5 and 5.19; errata 3.47 to 3.49; white paper on security, L01).

Downloaded when it may be, installed when nobody charges, then a reboot; Installed is said after the boot with the new
version, which shows that it works (the errata call that good practice). The update goes on while there is no
connection: what is to be said of it waits for the next one. A reboot that is not its own cuts a download or an
installation off, and only delays what waits (`upkeep`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final, Literal, cast, get_args

import msgspec
import trio

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.location import file_name_of
from loadsim.charge_point.transfer import download
from loadsim.charge_point.transfer_thread import Result
from loadsim.v16.availability import free
from loadsim.v16.memory import connector_of, is_accepted, may_send_triggered, memory_of
from loadsim.v16.messages.firmware import FirmwareStatus, FirmwareStatusNotificationRequest
from loadsim.v16.messages.security import SignedFirmwareStatus, SignedFirmwareStatusNotificationRequest
from loadsim.v16.reset import reboot
from loadsim.v16.security import report_security_event
from loadsim.v16.upkeep.notices import FirmwareNotice, SignedFirmwareNotice, announce
from loadsim.v16.upkeep.transfers import Errand, picked, transfer
from loadsim.v16.waiting import until

_DOWNLOAD_FAILS: Final = 0
_INSTALLATION_FAILS: Final = 1
_PLAIN: Final = frozenset(get_args(FirmwareStatus))
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+")
_LONGEST_VERSION: Final = 50


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What comes with signed firmware; *is_right* takes the SHA-256 of what was downloaded, None: nothing was."""

    request_id: int
    is_right: Callable[[bytes | None], bool]


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """One update of the firmware; *signature* is None of one by the original UpdateFirmware."""

    errand: Errand
    retrieve_at: datetime
    install_at: datetime | None = None
    signature: Signature | None = None


class FirmwareState:
    """What has become of the updates so far. *status* and *request_id* are what was last said.

    *running* is the update under way; while it is *installing* it cannot be cancelled. *step* is its download or
    installation, which a reboot cuts off. *alarm* ends its wait for connectors, or for the end of a reboot.
    """

    __slots__ = ("alarm", "installing", "request_id", "running", "status", "step", "updates", "version")

    def __init__(self) -> None:
        self.alarm = Alarm()
        self.installing = False
        self.request_id: int | None = None
        self.running: trio.CancelScope | None = None
        self.status: SignedFirmwareStatus | None = None
        self.step: trio.CancelScope | None = None
        self.updates = 0
        self.version: str | None = None

    def interrupt(self) -> None:
        """Cut off the download or the installation that is under way; what waits goes on waiting."""
        if self.step is not None:
            self.step.cancel()


def begin_update(charge_point: ChargePoint, update: Update) -> Literal["begun", "replaced", "ignored"]:
    """Begin an update, in place of one that has not begun to install; one that has makes this one be ignored."""
    memory = memory_of(charge_point)
    if memory.firmware is None:
        memory.firmware = FirmwareState()
    state = memory.firmware
    if state.installing or charge_point.over:
        return "ignored"
    earlier, state.running = state.running, trio.CancelScope()
    state.alarm = Alarm()  # the earlier one's may still be about to end its sleep
    if earlier is not None:
        earlier.cancel()
        _release(charge_point)
    state.updates += 1
    charge_point.spawn(_run, charge_point, state, update, state.running)
    return "begun" if earlier is None else "replaced"


def firmware_version(charge_point: ChargePoint) -> str | None:
    """Return the version that was installed last; None where that is the one the fleet came with."""
    firmware = memory_of(charge_point).firmware
    return None if firmware is None else firmware.version


def version_in(location: str) -> str:
    """Return the version that firmware at *location* is: what looks like one in the file's name, else its stem."""
    name = file_name_of(location) or location.rstrip("/").rpartition("/")[2]
    found = _VERSION.search(name)
    stem = name.rpartition(".")[0] or name
    return (stem if found is None else found.group())[:_LONGEST_VERSION]


async def send_firmware_status(charge_point: ChargePoint, due: float) -> None:
    """Say how the update goes because the CSMS asks; Idle when it neither downloads nor installs (section 4.5).

    Raises:
        CallFailed: no valid answer.
    """
    state = memory_of(charge_point).firmware
    status: FirmwareStatus = "Idle"
    if state is not None and state.running is not None and state.status in _PLAIN:
        status = cast("FirmwareStatus", state.status)
    request = FirmwareStatusNotificationRequest(status=status)
    await charge_point.call(FirmwareNotice.action, request, due=due, allowed=may_send_triggered)


async def send_signed_firmware_status(charge_point: ChargePoint, due: float) -> None:
    """Say what was last said of an update to signed firmware; Idle after Installed (L01.FR.28 and FR.29).

    Raises:
        CallFailed: no valid answer.
    """
    state = memory_of(charge_point).firmware
    request = SignedFirmwareStatusNotificationRequest(status="Idle")
    if state is not None and state.request_id is not None and state.status not in (None, "Installed"):
        request = SignedFirmwareStatusNotificationRequest(status=state.status, request_id=state.request_id)
    await charge_point.call(SignedFirmwareNotice.action, request, due=due, allowed=may_send_triggered)


async def _run(charge_point: ChargePoint, state: FirmwareState, update: Update, scope: trio.CancelScope) -> None:
    with scope:
        try:
            await _update(charge_point, state, update)
        finally:
            if state.running is scope:
                state.running, state.step, state.installing = None, None, False
                _release(charge_point)


async def _update(charge_point: ChargePoint, state: FirmwareState, update: Update) -> None:
    context, settings = charge_point.context, charge_point.settings.firmware
    state.status, state.request_id = None, None if update.signature is None else update.signature.request_id
    purpose = f"firmware {state.updates}"
    fails = picked(charge_point, purpose, settings.download_failures, settings.install_failures)
    draws = charge_point.draws(purpose)
    say = partial(_say, charge_point, state)
    await _wait_for(charge_point, update.retrieve_at, partial(say, "DownloadScheduled"))
    await _wait_until_up(charge_point, state)
    say("Downloading")
    state.step = trio.CancelScope()
    result = await transfer(
        charge_point,
        update.errand,
        lambda: download(update.errand.location, charge_point.settings.transfer_hosts),
        lambda: settings.download.draw(draws.uniform()),
        fails=fails == _DOWNLOAD_FAILS,
        cut=state.step,
    )
    if not result.ok:
        say("DownloadFailed")
        return
    say("Downloaded")
    if update.signature is not None and not _verified(charge_point, state, update.signature, result):
        return
    if update.install_at is not None:
        await _wait_for(charge_point, update.install_at, partial(say, "InstallScheduled"))
    await _wait_until_idle(charge_point, state)
    state.installing = True
    say("Installing")
    with trio.CancelScope() as state.step:
        await context.sleep_until(context.clock.elapsed + settings.install.draw(draws.uniform()))
    if charge_point.over:
        return
    if fails == _INSTALLATION_FAILS or state.step.cancelled_caught:
        say("InstallationFailed")
        return
    say("InstallRebooting")
    state.version = version_in(update.errand.location)
    report_security_event(charge_point, "ResetOrReboot", f"to start version {state.version}")
    await reboot(charge_point, "Reboot")
    if is_accepted(charge_point):  # another reboot has begun, and has not hung up yet: it is reboot enough
        await _wait_until_up(charge_point, state)
    _release(charge_point)
    # The registration is lost: what is said from here on waits for the boot to be accepted.
    report_security_event(charge_point, "FirmwareUpdated", f"version {state.version}")
    say("Installed")


def _say(charge_point: ChargePoint, state: FirmwareState, status: SignedFirmwareStatus) -> None:
    """Have a new status said, as far as the kind of update knows it."""
    if state.request_id is not None:
        state.status = status
        request = SignedFirmwareStatusNotificationRequest(status=status, request_id=state.request_id)
        announce(charge_point, SignedFirmwareNotice(charge_point, request, state.updates))
    elif status in _PLAIN:
        state.status = status
        plain = FirmwareStatusNotificationRequest(status=cast("FirmwareStatus", status))
        announce(charge_point, FirmwareNotice(charge_point, plain, state.updates))


def _verified(charge_point: ChargePoint, state: FirmwareState, signature: Signature, result: Result) -> bool:
    """Verify what was downloaded (L01.FR.03 and FR.04)."""
    if signature.is_right(result.sha256 or None):
        _say(charge_point, state, "SignatureVerified")
        return True
    _say(charge_point, state, "InvalidSignature")
    report_security_event(charge_point, "InvalidFirmwareSignature")
    return False


async def _wait_for(charge_point: ChargePoint, moment: datetime, scheduled: Callable[[], None]) -> None:
    """Wait until it is *moment* by the charge point's clock; *scheduled* says so, if there is a wait."""
    if moment > charge_point.now():
        scheduled()
        await until(charge_point, moment)


async def _wait_until_idle(charge_point: ChargePoint, state: FirmwareState) -> None:
    """Wait until nobody charges or is about to; what is not in use is Unavailable (errata 3.49; L01.FR.07)."""
    connectors = [connector_of(charge_point, number + 1) for number in range(charge_point.settings.connectors)]
    for connector in connectors:
        connector.held = True
    while True:
        for connector in connectors:
            if connector.session is None and connector.transaction is None:
                free(charge_point, connector)
        busy = any(each.transaction is not None or each.status == "Preparing" for each in connectors)
        if not (busy or memory_of(charge_point).rebooting):
            return
        await state.alarm.sleep_until()  # until a connector's status changes, or a reboot is over


async def _wait_until_up(charge_point: ChargePoint, state: FirmwareState) -> None:
    while memory_of(charge_point).rebooting:
        await state.alarm.sleep_until()


def _release(charge_point: ChargePoint) -> None:
    """Let connectors be used again that were held for an installation."""
    for connector in memory_of(charge_point).connectors.values():
        if connector.held:
            connector.held = False
            if connector.session is None and connector.transaction is None and not charge_point.over:
                free(charge_point, connector)
