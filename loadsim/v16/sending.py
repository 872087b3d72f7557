"""Emptying the outbox: one message after the other, transaction messages until they are delivered or given up.

OCPP 1.6, sections 3.7 and 3.7.1: what is about transactions is sent in the order of its events, also after hours
without a connection, and tried again when the CSMS fails to process it. A connection that breaks is no failure
of that kind: the message is sent again on the next one. One that the CSMS closes because of the message is; not
when something that is malformed on purpose went out just before it.

How long a message waited for a connection, or behind one that is to be tried again, is no part of its response time,
which begins when it could be sent: it is measured apart (``outbox_wait``), and so is every message that was given up.
"""

from __future__ import annotations

from typing import Final

import trio

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.caller import NotSent
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.outbox import Message, Outbox
from loadsim.link.link import CallFailed
from loadsim.link.transport import REFUSING
from loadsim.v16.configuration import integer
from loadsim.v16.memory import is_accepted, memory_of

_POLL: Final = 0.005
_REFUSING: Final = frozenset(map(str, REFUSING))


def outbox_of(charge_point: ChargePoint) -> Outbox:
    """Return the charge point's outbox, made if there was nothing to say yet."""
    memory = memory_of(charge_point)
    if memory.outbox is None:
        memory.outbox = Outbox(charge_point.context.backlog)
    return memory.outbox


def put(charge_point: ChargePoint, message: Message) -> None:
    """Have *message* sent when it is its turn; nobody waits for it."""
    if not (message.kept or message.lasting) and not can_send(charge_point):
        leave(charge_point, message)
        return
    outbox_of(charge_point).put(message)
    resume_sending(charge_point)


def resume_sending(charge_point: ChargePoint) -> None:
    """Go on with what is in the outbox, if the charge point is online."""
    memory = memory_of(charge_point)
    if memory.sending is not None:
        memory.sending.ring()
    elif memory.outbox and can_send(charge_point) and not charge_point.over:
        memory.sending = Alarm()
        charge_point.start(_empty, charge_point)


def can_send(charge_point: ChargePoint) -> bool:
    """Tell whether there is a connection on which the charge point may say what it likes."""
    return charge_point.linked and is_accepted(charge_point)


async def send_all(charge_point: ChargePoint, alarm: Alarm, *, last_words: bool = False) -> None:
    """Send all that is in the outbox, also what is added meanwhile, as long as the connection holds.

    *alarm* ends its waits. *last_words* go out although the charge point stops, and nothing is waited for.
    """
    outbox, clock = outbox_of(charge_point), charge_point.context.clock
    while outbox and can_send(charge_point) and (last_words or not charge_point.over):
        message = outbox.next(clock.elapsed)
        if message is None and last_words and charge_point.context.ended_at is not None and outbox.kept:
            message = outbox.kept[0]  # its next try would come too late
        if message is not None:
            if not await _send(charge_point, outbox, message, last_words=last_words):
                break
        elif last_words:
            break
        else:
            await alarm.sleep_until(clock.trio_time(outbox.next_at()))
    if last_words or not charge_point.stopping:  # else the last words are still to come, or all is accounted for
        forget_what_passes(charge_point)


def forget_what_passes(charge_point: ChargePoint) -> None:
    """Drop what is of no use on another connection: a status that is no longer the one that is (section 4.9)."""
    outbox = memory_of(charge_point).outbox
    for message in outbox.drop_others() if outbox is not None else ():
        leave(charge_point, message)


async def send_last_words(charge_point: ChargePoint) -> None:
    """Send what is in the outbox although the charge point stops.

    At the end of the run each message is tried once, else what fails stays for the next time it is online.
    """
    memory = memory_of(charge_point)
    while memory.sending is not None:  # it may be in the middle of one
        memory.sending.ring()
        await trio.sleep(_POLL)
    if memory.outbox:
        await send_all(charge_point, Alarm(), last_words=True)


async def _empty(charge_point: ChargePoint) -> None:
    memory = memory_of(charge_point)
    assert memory.sending is not None
    try:
        await send_all(charge_point, memory.sending)
    finally:
        memory.sending = None


async def _send(charge_point: ChargePoint, outbox: Outbox, message: Message, *, last_words: bool) -> bool:
    """Try to deliver *message*; tell whether it could be sent."""
    context = charge_point.context
    due = message.due
    if message.kept or message.lasting:
        due = max(due, charge_point.online_since)
    if message.kept and not last_words:
        due = max(due, outbox.held_until)  # the wait for a retry is configured, it is not the CSMS's time
    try:
        response = await charge_point.call(
            message.action,
            message.request,
            due=due,
            tag_class=message.tag_class,
            expected=message.expected,
            allowed=is_accepted,
            kept=True,
            last_words=last_words,
        )
    except NotSent:
        return False  # it stays where it is
    except CallFailed as failed:
        message.unanswered(failed.message_id)
        if failed.cause == "open_at_end":
            outbox.remove(message)  # counted as what it is
            return False
        refused = failed.detail.partition(" ")[0] in _REFUSING and not failed.provoked
        broke = failed.cause == "connection_lost" and not refused
        if not (broke and (message.kept or message.lasting)):
            attempts = integer(charge_point, "TransactionMessageAttempts")
            if last_words and context.ended_at is not None:
                attempts = 1  # there is no time to try again
            interval = integer(charge_point, "TransactionMessageRetryInterval")
            given_up = outbox.failed(message, context.clock.elapsed, attempts=attempts, interval=interval)
            if given_up and failed.cause == "connection_lost":
                charge_point.lose_message()
            if given_up and message.kept:
                context.recorder.counters[f"outbox.given_up.{message.action.name}"] += 1
                message.given_up()
        return True
    if message.kept and not message.attempts and due > message.due:
        context.recorder.time("outbox_wait").append(due - message.due)
    outbox.remove(message)
    message.delivered(response)
    return True


def leave(charge_point: ChargePoint, message: Message) -> None:
    """Count a message that fell due and is never sent."""
    charge_point.leave_unsent(message.action, [message.due], message.tag_class)
