"""What planned faults have done to one charge point, until it is known what became of it (pure).

A fault *hits* a charge point when it happens to it. It has *taken it offline* when the charge point has no use of its
connection by it; what then falls due and cannot be sent, and the call that was open, are messages it lost. The charge
point is *back* when it is online, and the fault can take it offline no more. Where several faults have one charge
point offline at a time each counts for itself: it is back for all of them at once, and a message is lost by each.

A fault that needs a connection does not hit a charge point that has none, because an earlier one has taken it offline
or for any other reason: nothing happens to it, and nothing is counted.
"""

from __future__ import annotations

import math
from typing import Final

from loadsim.metrics.recorder import Recorder


class Hit:
    """One charge point hit by *fault* at *moment*, in seconds of the run.

    *lasting* is while the fault may still take it offline, or keep it so; *back_at* is when it was online again
    although the fault lasts: final when that is over. *kind* is of a malformed message whose effect is not known yet.
    """

    __slots__ = ("back_at", "fault", "kind", "lasting", "moment", "offline", "silent")

    def __init__(
        self,
        fault: str,
        moment: float,
        *,
        offline: bool = False,
        lasting: bool = False,
        silent: bool = False,
        kind: str = "",
    ) -> None:
        self.fault = fault
        self.moment = moment
        self.offline = offline
        self.lasting = lasting
        self.silent = silent
        self.kind = kind
        self.back_at = math.inf


_NOT_BACK: Final = math.inf


class Hits:
    """The hits of one charge point that are not over. Times are seconds of the run."""

    __slots__ = ("_open", "_recorder")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._open: list[Hit] = []

    def add(self, hit: Hit) -> None:
        """Count a hit; of malformed messages the newest is on trial alone: an end that comes now is its doing."""
        if hit.kind:
            self._open = [each for each in self._open if not each.kind]
        self._open.append(hit)
        self._count(hit, "hit")
        if hit.offline:
            self._count(hit, "offline")
        if hit.kind:
            self._count(hit, "sent", hit.kind)

    def broke(self, *, refused: bool) -> None:
        """Take in that the connection broke, and not by the charge point: by what lasts.

        *refused*: its close code says that it was for a message. That was the malformed one, if one is on trial;
        without such a code that one is to blame only where nothing else lasts, as a restart of the CSMS does.
        """
        malformed = self.on_trial and (refused or not any(hit.lasting and not hit.kind for hit in self._open))
        if not malformed:
            self._open = [hit for hit in self._open if not hit.kind]
        for hit in self._open:
            if hit.lasting and (hit.kind or hit.silent or not malformed):
                hit.back_at = _NOT_BACK
                if not hit.offline:
                    hit.offline = True
                    self._count(hit, "offline")
                hit.lasting = not (hit.kind or hit.silent)
            if hit.kind:
                self._count(hit, "closed", hit.kind)
                hit.kind = ""

    def gave_up(self) -> None:
        """Take in that the charge point ends the connection because its malformed message could not be sent."""
        for hit in self._open:
            if hit.kind:
                hit.kind, hit.lasting, hit.offline = "", False, True
                self._count(hit, "offline")

    @property
    def on_trial(self) -> bool:
        """Whether it is not known yet what the CSMS makes of something malformed."""
        return any(hit.kind for hit in self._open)

    def hung_up(self) -> None:
        """Take in that the charge point itself ended the connection: a silence ends with it, proofs come no more."""
        self._open = [hit for hit in self._open if not hit.kind]
        for hit in self._open:
            if hit.silent and hit.back_at == _NOT_BACK:
                hit.lasting = False

    def answered(self) -> None:
        """Take in an answer to a call: the CSMS has survived what was malformed before it."""
        for hit in self._open:
            if hit.kind:
                self._count(hit, "survived", hit.kind)
        self._open = [hit for hit in self._open if not hit.kind]

    def online(self, now: float) -> None:
        """Take in that the charge point is online; final for what does not last."""
        for hit in [hit for hit in self._open if hit.offline and hit.back_at == _NOT_BACK]:
            hit.back_at = now
            if not hit.lasting:
                self._close(hit)

    def spoke(self, now: float) -> None:
        """Take in that a silence is over, and the connection there as before it."""
        for hit in self._open:
            if hit.silent and hit.lasting:
                hit.back_at = now

    def over(self, hit: Hit) -> None:
        """Take in that a fault that lasted is over."""
        hit.lasting = False
        if hit in self._open and (hit.back_at < _NOT_BACK or not hit.offline):
            self._close(hit)

    def silence_over(self) -> None:
        """Take in that the silences that are over have shown whether the connection has outlived them."""
        for hit in [hit for hit in self._open if hit.silent and hit.back_at < _NOT_BACK]:
            self.over(hit)

    def lost_message(self) -> None:
        """Count a call that ended, or was never sent, because of what has the charge point offline."""
        for hit in self._open:
            if hit.offline and hit.back_at == _NOT_BACK:
                self._count(hit, "messages_lost")

    def end(self, *, gone: bool) -> None:
        """Take in that the charge point is taken offline, by the plan (*gone*) or because the run is over."""
        for hit in list(self._open):
            if hit.back_at < _NOT_BACK:
                self._close(hit)
            elif hit.offline and gone:
                self._count(hit, "gone")
        self._open.clear()

    def _close(self, hit: Hit) -> None:
        self._open.remove(hit)
        if hit.offline:
            self._recorder.recovered(hit.fault, max(hit.back_at - hit.moment, 0.0))

    def _count(self, hit: Hit, what: str, kind: str = "") -> None:
        name = f"faults.{hit.fault}.{what}"
        self._recorder.counters[f"{name}.{kind}" if kind else name] += 1
