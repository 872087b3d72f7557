"""A scenario that was read and has no mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadsim.errors import Mistake
from loadsim.scenario.model import ScenarioModel
from loadsim.scenario.plan import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario without mistakes: as written, and as understood.

    *text* is the file's, variables not filled in, so it holds no secret. *identities* and *tags* are what
    the files it names hold, by fleet and by tag class.
    """

    path: Path
    text: str
    model: ScenarioModel
    identities: Mapping[str, tuple[Identity, ...]] = field(repr=False)
    tags: Mapping[str, tuple[str, ...]] = field(repr=False)
    password: str | None = field(repr=False)
    overrides: tuple[str, ...] = ()
    """What the command line put in place of what is written, as ``key=value``, secrets as ``***``."""
    warnings: tuple[Mistake, ...] = ()
    """What can be run and may not be what is wanted, each with its place; as text it is a line for stderr."""
