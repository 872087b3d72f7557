"""Before the run: the shard's first charge points connect and boot, while all others wait for it to begin."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import trio

from loadsim.charge_point.preflight import Finding, Preflight

CONNECT_WITHIN: Final = 10.0
"""Seconds within which a first charge point must have its connection."""


async def wait_for_begin(preflight: Preflight, ending: trio.Event, connected: Callable[[], Collection[str]]) -> None:
    """Wait until the run begins, or is *ending* before it could; the connections are due meanwhile.

    *connected* tells the identities of those that have theirs.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_demand_connections, preflight, connected)
        nursery.start_soon(_cancel_when, ending, nursery.cancel_scope)
        await preflight.begun.wait()
        nursery.cancel_scope.cancel()


async def _demand_connections(preflight: Preflight, connected: Callable[[], Collection[str]]) -> None:
    await trio.sleep(CONNECT_WITHIN)
    for identity in sorted(preflight.untried.difference(connected())):
        preflight.failed(Finding(identity, "connect", "timeout", f"no connection within {CONNECT_WITHIN:g} s"))


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
