"""The ids and id tags that a scenario uses, as CSV to provision a CSMS with."""

from __future__ import annotations

import csv
from typing import TextIO

from loadsim.scenario.plan import Plan

COLUMNS = ("kind", "id", "group", "expect")


def write_ids(plan: Plan, stream: TextIO) -> None:
    """Write a row per charge point, then one per id tag; *group* is the fleet or the tag class.

    Passwords are not written: whoever provisions the CSMS has them already.
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for fleet in plan.fleets:
        for n in range(fleet.count):
            writer.writerow(("charge_point", fleet.identity(n).id, fleet.name, ""))
    for tag_class in plan.tag_classes:
        for n in range(tag_class.count):
            writer.writerow(("id_tag", tag_class.tag(n), tag_class.name, tag_class.expect))
