"""The versions of OCPP that a charge point can speak."""

from __future__ import annotations

from typing import Final

from loadsim.charge_point.dialect import Dialect
from loadsim.v16.dialect import V16

DIALECTS: Final[dict[str, Dialect]] = {V16.version: V16}
