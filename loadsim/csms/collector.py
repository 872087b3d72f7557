"""The garbage collector of a process that holds thousands of connections."""

from __future__ import annotations

import gc


def calm_collector() -> None:
    """Leave alone what was built so far, and look for garbage more rarely.

    A full collection walks every connection's objects, and all charge points wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
