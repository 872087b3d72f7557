"""Tasks that begin and end together, in a nursery with others.

A nursery does the same. It takes 1.1 kB, of every charge point, for tasks of which there mostly are none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio


class Company:
    """Tasks of one nursery that are cancelled together, and waited for together."""

    __slots__ = ("_dismissed", "_number", "_scopes", "_waiting")

    def __init__(self) -> None:
        self._number = 0
        self._scopes: list[trio.CancelScope] = []
        self._dismissed = False
        self._waiting: trio.lowlevel.Task | None = None

    def start(self, nursery: trio.Nursery, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run *task* in *nursery*, which gets what it raises, as one of these."""
        self._number += 1
        nursery.start_soon(self._run, task, args)

    async def _run(self, task: Callable[..., Awaitable[None]], args: tuple[object, ...]) -> None:
        try:
            with trio.CancelScope() as scope:
                self._scopes.append(scope)
                try:
                    if self._dismissed:  # since it was started; it begins all the same, for it may have to tidy up
                        scope.cancel()
                    await task(*args)
                finally:
                    self._scopes.remove(scope)
        finally:
            self._number -= 1
            if not self._number and self._waiting is not None:
                trio.lowlevel.reschedule(self._waiting)
                self._waiting = None

    def dismiss(self) -> None:
        """Cancel all tasks, those too that are started from now on."""
        self._dismissed = True
        for scope in self._scopes:
            scope.cancel()

    async def gone(self) -> None:
        """Wait until none is left; as the end of a nursery does, whoever cancels. One task may wait at a time."""
        if self._number:
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
