"""A wait that somebody else may end early."""

from __future__ import annotations

import math

import trio


class Alarm:
    """Sleeps until a time of trio's clock; `ring` ends the sleep at once."""

    __slots__ = ("_rung", "_scope")

    def __init__(self) -> None:
        self._scope: trio.CancelScope | None = None
        self._rung = False

    async def sleep_until(self, at: float = math.inf) -> bool:
        """Sleep until *at*, or until the alarm rings; tell whether it rang."""
        self._rung = False
        with trio.CancelScope(deadline=at) as scope:
            self._scope = scope
            try:
                await trio.sleep_forever()
            finally:
                self._scope = None
        return self._rung

    def ring(self) -> None:
        """End the sleep now; without effect when nobody sleeps."""
        if self._scope is not None:
            self._rung = True
            self._scope.cancel()
