"""The stages of a scenario that is being checked: when they begin and end, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from loadsim.scenario.model import StageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The run's stages; seconds.

    *names* are as written, right or wrong, so that one mistake does not cause others. *windows* are begin and end of
    each and *duration* is that of the run, both None where a stage is wrong. *unmeasured* never count.
    """

    names: Sequence[str]
    windows: Mapping[str, tuple[float, float]] | None = None
    duration: float | None = None
    unmeasured: frozenset[str] = frozenset()

    def window(self, stage: str | None) -> tuple[float, float] | None:
        """Return begin and end of *stage*, of the run if it is None; None where they are not known."""
        if stage is None:
            return None if self.duration is None else (0.0, self.duration)
        return None if self.windows is None else self.windows.get(stage)


def timeline_of(names: Sequence[str], stages: Sequence[StageModel] | None) -> Timeline:
    """Return the timeline of the stages called *names*; *stages* is None where one of them is wrong."""
    if stages is None or len(stages) != len(names):
        return Timeline(names=names)
    ends = list(accumulate(stage.duration for stage in stages))
    return Timeline(
        names=names,
        windows={name: (end - stage.duration, end) for name, stage, end in zip(names, stages, ends, strict=True)},
        duration=sum(stage.duration for stage in stages),
        unmeasured=frozenset(name for name, stage in zip(names, stages, strict=True) if stage.measure is False),
    )
