"""A wait that somebody else may end early or move."""

from __future__ import annotations

import math

import trio


class Alarm:
    """Sleeps until a time of trio's clock; `ring` ends the sleep at once, `move` sets another time."""

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope: trio.CancelScope | None = None

    async def sleep_until(self, at: float = math.inf) -> None:
        """Sleep until *at*, or until the alarm rings."""
        with trio.CancelScope(deadline=at) as scope:
            self._scope = scope
            try:
                await trio.sleep_forever()
            finally:
                self._scope = None

    def ring(self) -> None:
        """End the sleep now; without effect when nobody sleeps."""
        if self._scope is not None:
            self._scope.cancel()

    def move(self, at: float) -> None:
        """End the sleep at *at* instead; without effect when nobody sleeps."""
        if self._scope is not None:
            self._scope.deadline = at
