"""What goes wrong with a charge point's connection: each a count, the first of a kind an example as well."""

from __future__ import annotations

from loadsim.charge_point.context import Context
from loadsim.link.dialing import EXHAUSTED
from loadsim.link.transport import ConnectFailed, ConnectionLost
from loadsim.ocpp.rpc import Stray


def count_refused(context: Context, identity: str, failed: ConnectFailed) -> None:
    """Count a connect that failed, by outcome; one that this machine itself refused, as that too."""
    recorder = context.recorder
    recorder.counters[f"connections.refused.{failed.outcome}"] += 1
    if failed.outcome in EXHAUSTED:
        recorder.counters[f"generator.exhausted.{failed.outcome}"] += 1
    recorder.example(context.clock.elapsed, identity, "connect", failed.outcome, failed.detail)


def count_lost(context: Context, identity: str, lost: ConnectionLost) -> None:
    """Count a connection that broke, by close code."""
    recorder = context.recorder
    recorder.counters[f"connections.lost.{lost.code}"] += 1
    recorder.example(context.clock.elapsed, identity, "connection", str(lost.code), str(lost))


def count_stray(context: Context, identity: str, stray: Stray, text: str | bytes) -> None:
    """Count a message that belongs to nothing, by kind."""
    recorder = context.recorder
    recorder.counters[f"strays.{stray.kind}"] += 1
    recorder.example(context.clock.elapsed, identity, "stray", stray.kind, stray.reason, text)
