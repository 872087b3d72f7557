"""A central system on PyPI `ocpp` and `websockets`, both written by others: it validates what it gets.

`python -m tests.peers.pypi_central --interval 60 --ask`, or with a script of calls (`asking`): `--ask-all FILE`
"""

import argparse
import asyncio
import json
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from ocpp.charge_point import camel_to_snake_case, remove_nones, snake_to_camel_case
from ocpp.exceptions import OCPPError
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint as OcppChargePoint
from ocpp.v16 import call, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import (
    Action,
    AuthorizationStatus,
    DataTransferStatus,
    GenericStatus,
    MessageTrigger,
    RegistrationStatus,
)
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from .asking import CLOSED, Asker, Payload, Plan
from .books import Transactions
from .serving import (
    BACKLOG,
    HOST,
    Record,
    announce,
    now_text,
    options,
    raise_descriptor_limit,
    report,
    until_the_parent_ends_it,
)

SUBPROTOCOL = Subprotocol("ocpp1.6")
KNOWN_VENDORS = "com.example."  # their data is accepted
TEXTS_KEPT = 20  # of errors: enough to see what is wrong


class Central:
    """What all charge points count in common."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.opened = 0
        self.without_subprotocol = 0
        self.booted: set[str] = set()
        self.received: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.closes: Counter[str] = Counter()
        self.errors = ErrorCount()
        self.asked: dict[str, Counter[str]] = {}
        self.asking: set[asyncio.Task[None]] = set()
        self.transactions = Transactions()
        self.points: dict[str, ChargePoint] = {}  # the latest connection of each
        self.asker = Asker(Plan.read(chosen.ask_all), self.ask, self.errors.note)

    def tag_info(self, action: str, id_tag: str) -> IdTagInfo:
        """Say what is known of a tag: BLK... are blocked, and INV... invalid, as turns out at the start."""
        if id_tag.startswith("BLK"):
            self.refused[action] += 1
            return IdTagInfo(status=AuthorizationStatus.blocked)
        if id_tag.startswith("INV") and action == "StartTransaction":
            self.refused[action] += 1
            return IdTagInfo(status=AuthorizationStatus.invalid)
        return IdTagInfo(status=AuthorizationStatus.accepted)

    async def ask(self, identity: str, action: str, payload: Payload) -> tuple[str, Payload]:
        """Send one call, on whatever connection the charge point has now."""
        outcome, answer = await self.points[identity].ask_one(action, payload)
        self.note_answer(action, outcome)
        return outcome, answer

    def note_answer(self, action: str, status: str) -> None:
        self.asked.setdefault(action, Counter())[status] += 1

    def record(self) -> Record:
        return {
            "peer": "pypi_central",
            "connections": {"opened": self.opened, "without_subprotocol": self.without_subprotocol},
            "booted": len(self.booted),
            "received": dict(self.received),
            "refused": dict(self.refused),
            "closes": dict(self.closes),
            "errors": {"count": self.errors.count, "texts": self.errors.texts},
            "asked": {action: dict(statuses) for action, statuses in self.asked.items()},
            "transactions": self.transactions.record(),
            **self.asker.record(),
        }


class ErrorCount(logging.Handler):
    """Counts what the libraries log as an error: `ocpp` logs every validation error, and goes on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        reason = record.exc_info[1] if record.exc_info else ""
        self.note(f"{record.getMessage()}: {reason!r}")

    def note(self, text: str) -> None:
        self.count += 1
        if len(self.texts) < TEXTS_KEPT:
            self.texts.append(text[:500])


class ChargePoint(OcppChargePoint):  # type: ignore[misc]
    """One charge point as the library sees it."""

    def __init__(self, identity: str, connection: ServerConnection, central: Central) -> None:
        super().__init__(identity, connection, response_timeout=central.chosen.ask_timeout)
        self.central = central
        self.error_code = ""  # of the last CALLERROR

    async def route_message(self, raw: str) -> None:
        try:
            message = json.loads(raw)
        except ValueError:
            message = None
        match message:
            case [2, _, action, *_]:
                self.central.received[str(action)] += 1
            case [4, _, code, *_]:
                self.error_code = str(code)
        with suppress(ConnectionClosed):  # it cannot be answered; what came before the end is read all the same
            await super().route_message(raw)
        match message:
            case [2, _, str(action), dict(payload)]:
                self.central.asker.hear(self.id, action, payload)
                if action == "BootNotification":
                    self.central.asker.booted(self.id)

    @on(Action.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot(self, **_: object) -> call_result.BootNotification:
        put_off = self.central.asker.is_put_off(self.id)
        if not put_off:
            self.central.booted.add(self.id)
        return call_result.BootNotification(
            current_time=now_text(),
            interval=self.central.chosen.interval,
            status=RegistrationStatus.pending if put_off else RegistrationStatus.accepted,
        )

    @after(Action.boot_notification)  # type: ignore[untyped-decorator]
    def after_boot(self, **_: object) -> None:
        if self.central.chosen.ask:
            task = asyncio.create_task(self.ask())
            self.central.asking.add(task)
            task.add_done_callback(self.central.asking.discard)

    @on(Action.heartbeat)  # type: ignore[untyped-decorator]
    def on_heartbeat(self, **_: object) -> call_result.Heartbeat:
        return call_result.Heartbeat(current_time=now_text())

    @on(Action.authorize)  # type: ignore[untyped-decorator]
    def on_authorize(self, id_tag: str, **_: object) -> call_result.Authorize:
        return call_result.Authorize(id_tag_info=self.central.tag_info("Authorize", id_tag))

    @on(Action.start_transaction)  # type: ignore[untyped-decorator]
    def on_start(self, connector_id: int, id_tag: str, **more: object) -> call_result.StartTransaction:
        payload = snake_to_camel_case({"connector_id": connector_id, "id_tag": id_tag, **more})
        number = self.central.transactions.start(self.id, payload)
        self.central.asker.started(self.id, connector_id, number)
        return call_result.StartTransaction(
            transaction_id=number, id_tag_info=self.central.tag_info("StartTransaction", id_tag)
        )

    @on(Action.stop_transaction)  # type: ignore[untyped-decorator]
    def on_stop(self, **stop: object) -> call_result.StopTransaction:
        self.central.transactions.stop(snake_to_camel_case(stop))
        return call_result.StopTransaction()

    @on(Action.status_notification)  # type: ignore[untyped-decorator]
    def on_status(self, **_: object) -> call_result.StatusNotification:
        return call_result.StatusNotification()

    @on(Action.meter_values)  # type: ignore[untyped-decorator]
    def on_meter_values(self, **values: object) -> call_result.MeterValues:
        self.central.transactions.note_values(snake_to_camel_case(values))
        return call_result.MeterValues()

    @on(Action.data_transfer)  # type: ignore[untyped-decorator]
    def on_data_transfer(self, vendor_id: str, **_: object) -> call_result.DataTransfer:
        if vendor_id.startswith(KNOWN_VENDORS):
            return call_result.DataTransfer(status=DataTransferStatus.accepted, data="thanks")
        self.central.refused["DataTransfer"] += 1
        return call_result.DataTransfer(status=DataTransferStatus.unknown_vendor_id)

    @on(Action.firmware_status_notification)  # type: ignore[untyped-decorator]
    def on_firmware_status(self, **_: object) -> call_result.FirmwareStatusNotification:
        return call_result.FirmwareStatusNotification()

    @on(Action.diagnostics_status_notification)  # type: ignore[untyped-decorator]
    def on_diagnostics_status(self, **_: object) -> call_result.DiagnosticsStatusNotification:
        return call_result.DiagnosticsStatusNotification()

    @on(Action.security_event_notification)  # type: ignore[untyped-decorator]
    def on_security_event(self, **_: object) -> call_result.SecurityEventNotification:
        return call_result.SecurityEventNotification()

    @on(Action.sign_certificate)  # type: ignore[untyped-decorator]
    def on_sign_certificate(self, **_: object) -> call_result.SignCertificate:
        return call_result.SignCertificate(status=GenericStatus.accepted)

    @on(Action.signed_firmware_status_notification)  # type: ignore[untyped-decorator]
    def on_signed_firmware_status(self, **_: object) -> call_result.SignedFirmwareStatusNotification:
        return call_result.SignedFirmwareStatusNotification()

    @on(Action.log_status_notification)  # type: ignore[untyped-decorator]
    def on_log_status(self, **_: object) -> call_result.LogStatusNotification:
        return call_result.LogStatusNotification()

    async def ask(self) -> None:
        """Ask what many a CSMS asks a charge point that has booted, one call after the other."""
        chosen = self.central.chosen
        for payload in (
            call.GetConfiguration(),
            call.ChangeConfiguration(key="HeartbeatInterval", value=str(chosen.ask_interval)),
            call.TriggerMessage(requested_message=MessageTrigger.heartbeat),
            call.RemoteStartTransaction(id_tag=chosen.ask_tag, connector_id=1),
        ):
            action = type(payload).__name__
            self.central.note_answer(action, await self._outcome(payload))

    async def ask_one(self, action: str, payload: Payload) -> tuple[str, Payload]:
        """Send one call; give the status that it was answered with, and the whole answer."""
        request = getattr(call, action)(**camel_to_snake_case(payload))
        try:
            answer = await self.call(request)  # a CALLERROR gives None; what the schemas refuse raises
        except ConnectionClosed:
            return CLOSED, {}
        except TimeoutError:
            return "time-out", {}
        except OCPPError as error:
            self.central.errors.note(f"{action}: {error!r}")
            return f"error {error.code}", {}
        if answer is None:
            return f"error {self.error_code}", {}
        told = json.loads(json.dumps(snake_to_camel_case(remove_nones(asdict(answer))), default=float))
        return told.get("status", "answered"), told

    async def _outcome(self, payload: Any) -> str:
        try:
            answer = await self.call(payload, suppress=False)
        except ConnectionClosed:
            return "connection closed"
        except TimeoutError:
            return "time-out"
        except OCPPError as error:
            self.central.errors.note(f"{type(payload).__name__}: {error!r}")
            return f"error {error.code}"
        if isinstance(answer, call_result.GetConfiguration):
            return f"{len(answer.configuration_key or [])} keys"
        return str(getattr(answer.status, "value", answer.status))


async def handle(central: Central, connection: ServerConnection) -> None:
    central.opened += 1
    if connection.subprotocol != SUBPROTOCOL:
        central.without_subprotocol += 1
        await connection.close(1002, "ocpp1.6 expected")
        return
    path = connection.request.path if connection.request is not None else ""
    identity = unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2])
    charge_point = central.points[identity] = ChargePoint(identity, connection, central)
    try:
        await charge_point.start()
    except ConnectionClosed as closed:
        code = "none" if closed.rcvd is None else str(closed.rcvd.code)
        central.closes["empty" if code == "1005" else code] += 1


async def run(chosen: argparse.Namespace) -> None:
    central = Central(chosen)
    for name in ("ocpp", "websockets.server"):
        logger = logging.getLogger(name)
        logger.addHandler(central.errors)
        logger.propagate = False
    server = await serve(
        lambda connection: handle(central, connection),
        HOST,
        chosen.port,
        subprotocols=[SUBPROTOCOL],
        backlog=BACKLOG,
        open_timeout=60,  # seconds: a crowd that knocks in one instant waits its turn
        ping_timeout=60,
        close_timeout=1,  # a client that hangs must not hold up the end
    )
    announce(server.server)
    await until_the_parent_ends_it(chosen.lifetime)
    report(central.record())


def main() -> None:
    parser = options("A central system on PyPI ocpp and websockets.")
    parser.add_argument("--interval", type=int, default=300, help="seconds, of the boot's answer")
    parser.add_argument("--ask", action="store_true", help="call every charge point after its boot")
    parser.add_argument("--ask-interval", type=int, default=120, help="HeartbeatInterval it is given, seconds")
    parser.add_argument("--ask-tag", default="REMOTE0001", help="id tag of the remote start")
    parser.add_argument("--ask-all", default="", help="call charge points by the script in this file")
    parser.add_argument("--ask-timeout", type=float, default=30.0, help="seconds")
    chosen = parser.parse_args()
    raise_descriptor_limit()
    asyncio.run(run(chosen))


if __name__ == "__main__":
    main()
