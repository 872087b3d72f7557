"""The half of a charge point that speaks: one call at a time, each with its outcome, and the books of those due."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

import msgspec
import trio

from loadsim.charge_point.calls import send_call
from loadsim.charge_point.context import Context
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.charge_point.trouble import Trouble
from loadsim.charge_point.turn import Turn
from loadsim.link.link import CallFailed, Link
from loadsim.link.transport import REFUSING
from loadsim.metrics.calls import CallSeries
from loadsim.ocpp.action import Action


class NotSent(Exception):
    """A call that is kept could not be sent now: the charge point is not online any more."""


class Caller:
    """What sends requests over the connection that there is, and knows until when anything falls due."""

    __slots__ = ("_linked_at_stop", "_turn", "context", "identity", "link", "settings", "stopped_at", "trouble")

    def __init__(self, context: Context, settings: ChargePointSettings, identity: str) -> None:
        """Begin without a connection."""
        self.context = context
        self.settings = settings
        self.identity = identity
        self.link: Link | None = None
        self.stopped_at: float | None = None
        """When `stop` was called, in seconds of the run: what falls due later is not due."""
        self.trouble: Trouble | None = None
        """What planned faults have done to it; most charge points are never hit by one."""
        self._linked_at_stop = False
        self._turn = Turn()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self.stopped_at is not None

    @property
    def over(self) -> bool:
        """Whether nothing falls due any more: the run ends, or the charge point stops."""
        return self.over_at is not None

    @property
    def over_at(self) -> float | None:
        """When things ceased to fall due, in seconds of the run; None while they still do."""
        return self.context.ended_at if self.stopped_at is None else self.stopped_at

    @property
    def linked(self) -> bool:
        """Whether there is a connection that has not ended."""
        return self.link is not None and self.link.lost is None

    async def call(
        self,
        action: Action,
        request: msgspec.Struct | Callable[[], msgspec.Struct],
        *,
        due: float,
        tag_class: str = "",
        expected: Callable[[Any], bool] | None = None,
        allowed: Callable[[Self], bool] | None = None,
        kept: bool = False,
        last_words: bool = False,
    ) -> Any:
        """Send a request that fell due at *due* (seconds of the run), wait for the answer, count and time it.

        Args:
            action: the row of the request.
            request: its Struct, or what makes it when it is this call's turn.
            due: when its behaviour wanted it.
            tag_class: counts it under a class of tags as well.
            expected: whether the answer is the one that was expected.
            allowed: asked when it is this call's turn; False means the charge point may not send it now.
            kept: whoever calls keeps what is not sent, and accounts for it (`leave_unsent`) when it never is.
            last_words: it is sent although nothing falls due any more.

        Returns:
            The answer's Struct.

        Raises:
            CallFailed: no valid answer, or not sent at all (cause "skipped_offline").
            NotSent: not sent, of a call that is kept; nothing is counted.
        """
        context = self.context
        if self.over_at is not None and due > self.over_at and not last_words:
            await self._never(kept)  # not due any more; the end of this task comes soon
        series = context.recorder.series(context.stage_at(due), action.name, tag_class)
        series.planned += not kept
        try:
            await self._turn.take()
            if self.over_at is not None and not last_words:
                self._turn.release()
                await self._never(kept)
        except trio.Cancelled:
            if not kept:
                self._never_sent(series, due)
            raise
        try:
            link = self.link
            if link is None or not self.linked or (allowed is not None and not allowed(self)):
                if kept:
                    raise NotSent
                series.skipped_offline += 1
                self.lose_message()
                raise CallFailed("skipped_offline", "not online", at=self.context.clock.elapsed)
            series.planned += kept
            response = await send_call(
                context,
                link,
                action,
                request if isinstance(request, msgspec.Struct) else request(),
                series,
                due=due,
                timeout=self.settings.call_timeout,
                identity=self.identity,
                expected=expected,
            )
            if self.trouble is not None:
                self.trouble.hits.answered()
            return response
        except CallFailed as failed:
            if self.trouble is not None and link is not None:
                self._take_failure(link, failed, kept)
            raise
        finally:
            self._turn.release()

    def _take_failure(self, link: Link, failed: CallFailed, kept: bool) -> None:
        """See what a failed call says of the faults that have hit the charge point."""
        assert self.trouble is not None
        if failed.cause in ("callerror", "malformed"):
            self.trouble.hits.answered()
        elif failed.cause == "connection_lost":
            if link.lost is not None:
                self._broke(link)  # who reads may not have noticed yet
            failed.provoked = link.provoked
            if not kept:
                self.lose_message()

    def _broke(self, link: Link) -> None:
        """Take in that the other side, or what is between, has ended the connection."""
        if self.trouble is not None and self.link is link:
            link.provoked = link.provoked or self.trouble.hits.on_trial
            if not self.over:
                self.trouble.hits.broke(refused=link.lost is not None and link.lost.code in REFUSING)

    def lose_message(self) -> None:
        """Note that a call which ended without an answer, or was never sent, will not be sent again."""
        if self.trouble is not None:
            self.trouble.hits.lost_message()

    @staticmethod
    async def _never(kept: bool) -> None:
        if kept:
            raise NotSent
        await trio.sleep_forever()

    def leave_unsent(self, action: Action, dues: Iterable[float], tag_class: str = "") -> None:
        """Count calls that fell due and will not be sent: the charge point stops, or lost its connection."""
        over_at = self.over_at
        for due in dues:
            if over_at is not None and due > over_at:
                continue  # nothing falls due any more
            series = self.context.recorder.series(self.context.stage_at(due), action.name, tag_class)
            series.planned += 1
            self._never_sent(series, due)

    def _never_sent(self, series: CallSeries, due: float) -> None:
        # Of a charge point that stops, what counts is how it was then: its link ends while its tasks do.
        linked = self._linked_at_stop if self.stopping else self.linked
        if self.over_at is not None and linked:
            series.waiting_at_end += 1
            drained_at = self.context.drained_at
            series.response.append((self.context.clock.elapsed if drained_at is None else drained_at) - due)
        else:
            series.skipped_offline += 1
            self.lose_message()
