"""A charging session: a driver plugs in, is authorized, charges and leaves (OCPP 1.6, sections 3.5, 4.8 to 4.10).

It goes on while there is no connection, as a car does. What ends it from outside (a reset, a fault, an unlock, a
remote stop) ends its transaction at once, whatever the session waits for at that moment.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import Final

import trio

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.arrival import Arrival
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.charging import Charge
from loadsim.v16.admission import authorized_to_stop, card_accepted, remote_accepted
from loadsim.v16.availability import free
from loadsim.v16.configuration import flag, integer
from loadsim.v16.connectors import Connector, RemoteStart, Transaction
from loadsim.v16.messages.types import ChargePointStatus, Reason
from loadsim.v16.meter_values import PERIODIC, Reading, keep_now, send_sample
from loadsim.v16.reservations import reservation_for
from loadsim.v16.smart_charging.in_force import install_for_remote_start, limit_now, share_changed
from loadsim.v16.status import set_status
from loadsim.v16.transactions import begin_transaction, end_transaction

_LEAST_HURRY: Final = 2.0
_HURRY: Final = 8.0
_LEAST_WAIT: Final = 0.001
_ROUNDING: Final = 1e-6


class Session:
    """One driver at one connector, from the cable or the card until the connector is free again.

    *remote* is the RemoteStartTransaction that began it, or that came while the driver waited for one.
    """

    __slots__ = (
        "_advanced_at",
        "_at_reader",
        "_counted",
        "_energy_cap",
        "_evicted",
        "_interval",
        "_leaves_at",
        "_limit",
        "_limit_holds",
        "_limit_until",
        "_next_sample",
        "_power_until",
        "_stopped",
        "_unlocked",
        "_unplugged",
        "_walked",
        "alarm",
        "arrival",
        "charge",
        "charge_point",
        "connector",
        "interrupted",
        "remote",
        "transaction",
    )

    def __init__(
        self, charge_point: ChargePoint, connector: Connector, arrival: Arrival, remote: RemoteStart | None = None
    ) -> None:
        self.charge_point = charge_point
        self.connector = connector
        self.arrival = arrival
        self.remote = remote
        self.alarm = Alarm()
        self.charge = Charge(charge_point.settings.power, arrival.energy)
        self.transaction: Transaction | None = None
        self.interrupted = False
        self._stopped: Reason | None = None
        self._counted = False
        self._at_reader = False
        self._unplugged = False
        self._evicted = False
        self._walked = 0.0
        self._unlocked = False
        self._energy_cap = math.inf
        self._leaves_at = math.inf
        self._advanced_at = 0.0
        self._limit = math.inf
        self._limit_holds = False
        self._limit_until = math.inf
        self._power_until = -math.inf
        self._interval = 0
        self._next_sample = math.inf

    @property
    def waits_for_remote_start(self) -> bool:
        """Whether the driver is plugged in and waits for RemoteStartTransaction."""
        return self.arrival.remote and self.remote is None and self.transaction is None and not self.interrupted

    async def run(self) -> None:
        """Be there until the connector is free again, or the charge point stops."""
        charge_point, connector = self.charge_point, self.connector
        try:
            if self.interrupted and not charge_point.over:  # in the very moment in which the driver came
                self._count("interrupted")
            elif await self._begin():
                await self._charge()
            await self._leave()
        finally:
            if not self._counted:
                self._count("preparing")  # as far as it got when the charge point stopped
            if connector.session is self:
                connector.session = None
                charge_point.context.connector_freed(charge_point.number)
        if not self._evicted:
            free(charge_point, connector)

    # What comes from outside.

    def interrupt(self, reason: Reason, due: float | None = None) -> None:
        """End the session now; *due* is when its end fell due, in seconds of the run, where that is not now."""
        self.interrupted = True
        if self.transaction is not None:
            self._stop(reason, due=due)
        self.alarm.ring()

    def evict(self) -> None:
        """End the session at once, for its connector breaks down: from here on that is nothing to it."""
        self._evicted = True
        self.interrupt("Other")
        self.connector.session = None
        self.charge_point.context.connector_freed(self.charge_point.number)

    def start_remotely(self, remote: RemoteStart) -> None:
        """Let the driver who waits for it begin."""
        self.remote = remote
        self.alarm.ring()

    def deauthorize(self) -> None:
        """Take in that the CSMS does not accept the tag of the running transaction (section 3.5.4, errata 3.17)."""
        if self.transaction is None:
            return
        if flag(self.charge_point, "StopTransactionOnInvalidId"):
            self._stop("DeAuthorized")
        else:
            self._advance(self.charge_point.context.clock.elapsed)
            self._energy_cap = self.charge.delivered + integer(self.charge_point, "MaxEnergyOnInvalidId")
            self._power_until = -math.inf
        self.alarm.ring()

    def unlock(self) -> None:
        """Unlock the cable, whatever state the session is in (section 5.18)."""
        self._unlocked = True
        self.interrupt("UnlockCommand")

    def unplug(self) -> bool:
        """Pull the cable at the car (section 9.1.25: StopTransactionOnEVSideDisconnect); False if there is none."""
        if self.transaction is None or self._unplugged:
            return False
        self._advance(self.charge_point.context.clock.elapsed)
        self._unplugged = True
        self._power_until = -math.inf
        if flag(self.charge_point, "StopTransactionOnEVSideDisconnect"):
            self._stop("EVDisconnected")
        self.alarm.ring()
        return True

    def look_again(self) -> None:
        """Look at once at what the session may do, and draw: something that bears on it has changed."""
        self._limit_holds = False
        self.alarm.ring()

    def read_meter(self) -> Reading:
        """Read the connector's meter now."""
        self._advance(self.charge_point.context.clock.elapsed)
        return self._reading()

    def _reading(self) -> Reading:
        """Read the connector's meter as it was when energy last flowed into it."""
        settings, power, charge = self.charge_point.settings, self._power, self.charge
        offered = 0.0 if self.transaction is None else min(self._limit, settings.power)
        charged = 0.2 + 0.8 * (charge.delivered / charge.wanted if charge.wanted else 1.0)
        register, flown = self.connector.reading, 0
        if self.transaction is not None:  # the first interval begins with it
            flown = register - max(self.transaction.meter_start, self.connector.sampled)
        return Reading(register, flown, power, offered, settings.phases, charged)

    # How it begins.

    async def _begin(self) -> bool:
        """Come so far that a transaction runs; tell whether it does."""
        charge_point, arrival = self.charge_point, self.arrival
        if charge_point.over:
            await trio.sleep_forever()  # nothing begins any more; the end of this task comes soon
        set_status(charge_point, self.connector, "Preparing")
        came_by_app = self.remote is not None
        if not came_by_app and not arrival.no_show:
            self._plug_in()
        if arrival.remote and not came_by_app and not await self._wait_for_remote_start():
            return False
        if self.remote is not None:
            decision = await remote_accepted(charge_point, self.remote, self.connector.id)
        else:
            decision = await card_accepted(charge_point, arrival.tag)
        if charge_point.over and decision.refused != "refused":
            await trio.sleep_forever()
        if self.interrupted or decision.refused is not None:
            return self._count(decision.refused or "interrupted")
        if self._leaves_at == math.inf and not await self._plug_in_late():
            return False
        if charge_point.over:
            await trio.sleep_forever()
        self._start(decision.parent_id_tag)
        self._count("started")
        return True

    def _plug_in(self) -> None:
        self._leaves_at = self.charge_point.context.clock.elapsed + self.arrival.plugged_in

    async def _wait_for_remote_start(self) -> bool:
        """Wait until the CSMS starts a transaction, or the driver's patience is over."""
        patience_ends = self.charge_point.context.clock.elapsed + self.arrival.plugged_in
        while self.remote is None and not self.interrupted:
            if not await self._sleep_until(patience_ends):
                return self._count("no_remote_start")
        return not self.interrupted or self._count("interrupted")

    async def _plug_in_late(self) -> bool:
        """Plug in after having been authorized, within ConnectionTimeOut, or not at all (section 9.1.5)."""
        clock = self.charge_point.context.clock
        patience = float(integer(self.charge_point, "ConnectionTimeOut"))
        takes = math.inf if self.arrival.no_show else self._hurry
        begun = clock.elapsed
        at = begun + min(takes, patience)
        while not self.interrupted and await self._sleep_until(at):
            pass
        if self.interrupted:
            return self._count("interrupted")
        if takes > patience:
            return self._count("no_show")
        self._walked = clock.elapsed - begun
        self._plug_in()
        return True

    def _start(self, parent: str | None) -> None:
        charge_point, connector, arrival, remote = self.charge_point, self.connector, self.arrival, self.remote
        id_tag = arrival.tag.id_tag if remote is None else remote.id_tag
        by_card = remote is None
        self.transaction = begin_transaction(
            charge_point,
            connector,
            id_tag,
            tag_class=arrival.tag.tag_class if by_card else "",
            expect=arrival.tag.expect if by_card else "",
            parent_id_tag=parent,
            reservation_id=reservation_for(charge_point, connector.id, id_tag, parent),
            remote_at=None if remote is None else remote.at + self._walked,  # the walk is not the CSMS's time
        )
        if remote is not None and remote.profile is not None:
            install_for_remote_start(charge_point, connector.id, remote.profile)
        self._advanced_at = charge_point.context.clock.elapsed
        self._look_at_limit(self._advanced_at)
        keep_now(charge_point, self.transaction, self._reading, "Transaction.Begin")

    # How it goes on.

    async def _charge(self) -> None:
        charge_point, clock = self.charge_point, self.charge_point.context.clock
        while self.transaction is not None:
            if charge_point.over:
                await trio.sleep_forever()  # nothing falls due any more
            now = clock.elapsed
            self._advance(now)
            self._look_at_limit(now)
            power = self._power
            if now + _ROUNDING >= self._power_until:
                self._power_until = now + self._lasts(power)
            self._show_status(power)
            if now + _ROUNDING >= self._leaves_at and not self._at_reader:
                self._show_card_to_stop()
                continue
            self._sample(now)
            leaves_at = math.inf if self._at_reader else self._leaves_at
            at = min(leaves_at, self._next_sample, self._limit_until, self._power_until)
            await self._sleep_until(max(at, now + _LEAST_WAIT))

    def _look_at_limit(self, now: float) -> None:
        if self._limit_holds and now + _ROUNDING < self._limit_until:
            return
        self._limit_holds = True
        self._power_until = -math.inf
        limit = limit_now(self.charge_point, self.connector.id)
        self._limit, self._limit_until = limit.watts, math.inf
        if limit.until is not None:
            self._limit_until = now + (limit.until - self.charge_point.now()).total_seconds()

    def _sample(self, now: float) -> None:
        interval = integer(self.charge_point, "MeterValueSampleInterval")
        if interval != self._interval:
            self._interval = interval
            self._next_sample = now + interval if interval else math.inf
        elif now + _ROUNDING >= self._next_sample:
            due, self._next_sample = self._next_sample, self._next_sample + interval
            send_sample(self.charge_point, self.connector, self.transaction, self._reading, PERIODIC, due)

    @property
    def _power(self) -> float:
        """The watts that flow now."""
        if self.transaction is None or self._unplugged or self.charge.delivered >= self._energy_cap:
            return 0.0
        return self.charge.draws(self._limit)

    def _lasts(self, power: float) -> float:
        """Return for how many seconds *power* flows, if nothing changes: until the car is full, or cut off."""
        if power <= 0:
            return math.inf
        return self.charge.seconds_to(min(self.charge.wanted, self._energy_cap), self._limit)

    def _advance(self, now: float) -> None:
        """Let the energy flow that has flown since the last time, until *now*."""
        if self._power > 0:
            self.connector.register += self.charge.advance(now - self._advanced_at, self._limit)
        self._advanced_at = now

    def _show_status(self, power: float) -> None:
        status: ChargePointStatus = "Charging" if power > 0 else "SuspendedEVSE"
        if self._unplugged or self.charge.full:
            status = "SuspendedEV"
        if self.connector.status != status:
            set_status(self.charge_point, self.connector, status)
            share_changed(self.charge_point)

    # How it ends.

    def _show_card_to_stop(self) -> None:
        """Stop as drivers do, with the card; another one must be of the same group (section 4.10)."""
        transaction, other = self.transaction, self.arrival.other_tag
        assert transaction is not None
        if other is None or other == transaction.id_tag:
            self._stop("Local", transaction.id_tag)
        else:
            self._at_reader = True  # charging goes on while the CSMS is asked
            self.charge_point.spawn(self._show_other_card, transaction, other)

    async def _show_other_card(self, transaction: Transaction, other: str) -> None:
        tag = self.arrival.tag._replace(id_tag=other)  # it was drawn from the same class
        accepted = await authorized_to_stop(self.charge_point, tag, transaction)
        if self.transaction is not None and not self.charge_point.over:
            self._stop("Local", other if accepted else transaction.id_tag)
            self.alarm.ring()

    def _stop(self, reason: Reason, id_tag: str | None = None, due: float | None = None) -> None:
        assert self.transaction is not None
        self._advance(self.charge_point.context.clock.elapsed)
        keep_now(self.charge_point, self.transaction, self._reading, "Transaction.End")
        data = tuple(self.transaction.data or ())
        self.transaction, self._stopped = None, reason
        end_transaction(self.charge_point, self.connector, reason, id_tag=id_tag, data=data, due=due)
        share_changed(self.charge_point)

    async def _leave(self) -> None:
        """Unplug: soon after the card, when the driver comes back after any other end.

        A cable that was pulled at the car is free at once, or as long locked (UnlockConnectorOnEVSideDisconnect).
        """
        charge_point, connector = self.charge_point, self.connector
        unlocked = self._stopped == "EVDisconnected" and flag(charge_point, "UnlockConnectorOnEVSideDisconnect")
        if unlocked or self._evicted or self._leaves_at == math.inf:
            return  # no cable is in it
        at = charge_point.context.clock.elapsed + self._hurry
        if self._stopped is not None:
            set_status(charge_point, connector, "Finishing")
            if self._stopped not in ("Local", "UnlockCommand") and not self._unlocked:
                at = max(at, self._leaves_at)
        while await self._sleep_until(at) and not self._evicted:
            if self._unlocked:
                at = min(at, charge_point.context.clock.elapsed + self._hurry)

    def _sleep_until(self, at: float) -> Awaitable[bool]:
        """Sleep until *at*, in seconds of the run; tell whether something ended the sleep."""
        context = self.charge_point.context
        return self.alarm.sleep_until(context.clock.trio_time(at), context.recorder.lateness)

    @property
    def _hurry(self) -> float:
        """How long this driver takes for a cable, in seconds."""
        return _LEAST_HURRY + _HURRY * self.arrival.hurry

    def _count(self, outcome: str) -> bool:
        """Count what has become of the arrival, once; return False, for what did not begin."""
        if not self._counted:
            self._counted = True
            context = self.charge_point.context
            context.recorder.counters[f"sessions.{outcome}"] += 1
            if outcome == "started":
                context.recorder.counters[f"sessions.started.{context.stage_at(self.arrival.due)}"] += 1
        return False
