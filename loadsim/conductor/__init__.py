"""One run: shards started together, their deltas merged, outputs fed, a summary at the end.

The conductor's loop and the workers' loops are in different processes: what it draws or writes never delays
a charge point.
"""

from loadsim.conductor.conducting import conduct
from loadsim.conductor.state import Finished, RunOptions

__all__ = ["Finished", "RunOptions", "conduct"]
