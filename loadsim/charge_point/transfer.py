"""Firmware and logs that are really transferred: in threads, so that the loop that measures never waits for one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

import trio

from loadsim.charge_point import transfer_thread
from loadsim.charge_point.transfer_thread import MOST_SECONDS, Patience, Result, Work, settled

_MOST_AT_A_TIME: Final = 20
_MOST_THREADS: Final = 60


async def download(location: str, hosts: Collection[str] = ()) -> Result:
    """Download from *location*, count and hash what comes, and throw it away."""
    return await _in_thread(transfer_thread.download, location, hosts)


async def upload(location: str, hosts: Collection[str], file_name: str, content: Callable[[], bytes]) -> Result:
    """Upload *content*, made when it is its turn: by PUT, or POST where PUT is not allowed, or by FTP.

    A location that ends in a slash is a folder (over FTP also one that turns out to be one): *file_name* is
    what the file is called there. Else it is the file itself.
    """
    return await _in_thread(partial(transfer_thread.upload, file_name, content), location, hosts)


_slots: Final = trio.lowlevel.RunVar[trio.CapacityLimiter]("transfer slots")
_threads: Final = trio.lowlevel.RunVar[trio.CapacityLimiter]("transfer threads")


def _limiter(of_this_run: trio.lowlevel.RunVar[trio.CapacityLimiter], most: int) -> trio.CapacityLimiter:
    try:
        return of_this_run.get()
    except LookupError:
        made = trio.CapacityLimiter(most)
        of_this_run.set(made)
        return made


async def _in_thread(work: Work, location: str, hosts: Collection[str]) -> Result:
    # Two limits: a thread that a server holds for good keeps its thread, not its place among the transfers.
    async with _limiter(_slots, _MOST_AT_A_TIME):
        patience = Patience()
        try:
            with trio.move_on_after(MOST_SECONDS):
                return await trio.to_thread.run_sync(
                    settled,
                    work,
                    location,
                    hosts,
                    patience,
                    abandon_on_cancel=True,
                    limiter=_limiter(_threads, _MOST_THREADS),
                )
        finally:
            patience.give_up()
    return Result("failed", f"took longer than {MOST_SECONDS:.0f} s")
