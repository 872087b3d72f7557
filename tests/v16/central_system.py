"""A charge point's calls to a Central, each answer checked against the OCA's schema."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from loadsim.ocpp.frame import Call, CallError, CallResult
from loadsim.v16.central import Central, ChargePointSession
from tests.v16.messages.oracle import validator

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
BOOT = {"chargePointVendor": "Acme", "chargePointModel": "AC22"}
START = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
STOP = {"meterStop": 9, "timestamp": "2026-03-01T13:00:00Z"}


def call(action: str, payload: Any) -> Call:
    return Call("id-1", action, msgspec.Raw(json.dumps(payload).encode()))


def ask(session: ChargePointSession, action: str, payload: Any, now: datetime = NOW) -> Any:
    reply = session.answer(call(action, payload), now)
    assert isinstance(reply, CallResult), reply
    assert reply.id == "id-1"
    content = json.loads(bytes(reply.payload))
    validator(f"{action}Response").validate(content)
    return content


def refused(session: ChargePointSession, action: str, payload: Any) -> str:
    reply = session.answer(call(action, payload), NOW)
    assert isinstance(reply, CallError), reply
    assert reply.id == "id-1"
    return reply.code


def booted(central: Central, identity: str = "CP1") -> ChargePointSession:
    session = central.charge_point(identity)
    ask(session, "BootNotification", BOOT)
    return session


def start(session: ChargePointSession, **changes: Any) -> Any:
    """Start a transaction as START does but for *changes*, and return the answer."""
    return ask(session, "StartTransaction", {**START, **changes})


def stop(session: ChargePointSession, transaction_id: int, **changes: Any) -> Any:
    """Stop a transaction as STOP does but for *changes*, and return the answer."""
    return ask(session, "StopTransaction", {**STOP, "transactionId": transaction_id, **changes})


def tag_status(content: Any) -> str:
    return str(content["idTagInfo"]["status"])
