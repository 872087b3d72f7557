"""Calls from the CSMS: answered by the dialect's commands, counted, and followed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from loadsim.charge_point.dialect import Reply
from loadsim.link.link import CallFailed, Link
from loadsim.link.transport import ConnectionLost
from loadsim.ocpp import frame
from loadsim.ocpp.action import Action, InvalidPayload, Verdict, encode_payload
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly

if TYPE_CHECKING:
    from loadsim.charge_point.charge_point import ChargePoint


async def answer(charge_point: ChargePoint, link: Link, call: Call | AskedBadly, received_at: float) -> None:
    """Answer one call and do what it asks for; in a task of its own, so that the reader never waits for it.

    *received_at*, in trio's time, is when its text was read.
    """
    try:
        if not isinstance(call, AskedBadly):
            await _obey(charge_point, link, call, received_at)
        elif charge_point.dialect.answers(charge_point):
            await link.send(frame.encode_error(call.id, "FormationViolation", call.reason))
    except (ConnectionLost, CallFailed):
        return  # counted where the connection ends, and where the call failed


async def _obey(charge_point: ChargePoint, link: Link, call: Call, received_at: float) -> None:
    recorder = charge_point.context.recorder
    counters = recorder.counters
    action = charge_point.dialect.actions.get(call.action)
    name = call.action if action is not None else "unknown"
    counters[f"commands.{name}.received"] += 1
    reply = _reply(charge_point, call, action)
    if reply is None:
        counters[f"commands.{name}.ignored"] += 1
        return
    if not isinstance(reply, Reply):
        counters[f"commands.{name}.refused"] += 1
        await link.send(frame.encode_error(call.id, *reply))
        recorder.time(f"commands.{name}").append(trio.current_time() - received_at)
        return
    if action is not None and action.verdict(reply.response) is Verdict.REJECTED:
        counters[f"commands.{name}.refused"] += 1
    await link.send(frame.encode_result(call.id, encode_payload(reply.response)))
    recorder.time(f"commands.{name}").append(trio.current_time() - received_at)
    if reply.then is not None:
        await reply.then(charge_point)


def _reply(charge_point: ChargePoint, call: Call, action: Action | None) -> Reply | tuple[str, str] | None:
    """Return a reply, a CALLERROR's code and description, or None: not to be answered at all."""
    if not charge_point.dialect.answers(charge_point):
        return None
    command = charge_point.dialect.commands.get(call.action)
    if action is None or command is None:
        return "NotImplemented", f"{call.action[:50]} is not implemented"
    if refused := charge_point.dialect.refuses(charge_point, action.name):
        return refused, f"{action.name} is switched off"
    try:
        return command(charge_point, action.decode_request(call.payload))
    except InvalidPayload as error:
        return error.code, str(error)
