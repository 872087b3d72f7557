"""The ids and id tags that a scenario uses, as CSV to provision a CSMS with."""

from __future__ import annotations

import csv
from typing import TextIO

from loadsim.scenario.plan import Plan

COLUMNS = ("kind", "id", "group", "expect")


def write_ids(plan: Plan, stream: TextIO) -> None:
    """Write a row per charge point, then one per id tag; *group* is the fleet or the tag class.

    A column for the parentIdTag is there where a class has one. Passwords are not written: whoever provisions the
    CSMS has them already.
    """
    writer = csv.writer(stream, lineterminator="\n")
    parents = any(tag_class.parent is not None for tag_class in plan.tag_classes)
    writer.writerow((*COLUMNS, *(["parent"] if parents else [])))
    for fleet in plan.fleets:
        for n in range(fleet.count):
            writer.writerow(("charge_point", fleet.identity(n).id, fleet.name, "", *([""] if parents else [])))
    for tag_class in plan.tag_classes:
        parent = [tag_class.parent or ""] if parents else []
        for n in range(tag_class.count):
            writer.writerow(("id_tag", tag_class.tag(n), tag_class.name, tag_class.expect, *parent))
