"""``loadsim plan``: its picture and its figures, on any terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadsim import preflight
from loadsim.dialects import DIALECTS
from loadsim.needs import needs_of
from loadsim.output.plan_curves import fault_marks, plan_curves
from loadsim.output.plan_view import show_plan
from loadsim.scenario.plan import Plan
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve
from loadsim.v16.configuration import initial_problem
from tests.output.builders import paper

TEXT = """
version: 1
name: shaped
fleets:
  a: {count: 100, connectors: 2, session: s, reconnect: {first: 10s, factor: 1, max: 10s, jitter: 50%}}
sessions: {s: {plugged_in: 10m, meter_values: 60s}}
stages:
  - {name: ramp, for: 10m, online: 100%}
  - {name: peak, for: 20m, sessions: 300/h, jump: true}
  - {name: down, for: 10m, online: 0%, sessions: 0/h, jump: true, measure: false}
faults:
  - {name: flaky, during: peak, do: drop, rate: 1/h}
  - {name: cut, at: peak+10m, do: drop, for: 1m}
thresholds: [all errors < 50%]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path)


def plan_of(folder: Path, *overrides: str, text: str = TEXT) -> Plan:
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    actions = DIALECTS["1.6"].actions
    scenario = read_scenario(path, {}, actions=actions, configuration=initial_problem, overrides=overrides)
    return resolve(scenario, seed=1)


def shown(plan: Plan, width: int = 80, *, encoding: str = "utf-8", workers: int = 1) -> str:
    console, file = paper(width, encoding=encoding)
    show_plan(plan, needs_of(plan, workers), console)
    return file.getvalue()


def rows(plan: Plan, width: int = 80) -> list[str]:
    return [line.plain for line in plan_curves(plan, width)]


def test_the_curve_of_who_is_online_rises_stays_and_falls(plan: Plan) -> None:
    top, *_, bottom = (row for row in rows(plan)[:6])
    begin = bottom.index("0 ") + 2
    width = len(bottom.rstrip()) - begin

    assert top.startswith("online")
    assert " 100 " in top
    assert top[begin : begin + 5].strip() == ""
    assert set(top[begin + width // 2 - 5 : begin + width // 2 + 5]) == {"█"}
    assert bottom[begin:].strip() == bottom[begin:].rstrip()
    assert width < (80 - begin) * 0.8, "nobody is online in the last quarter"


def test_the_curve_of_sessions_has_the_planned_peak_as_its_scale(plan: Plan) -> None:
    (top,) = (row for row in rows(plan) if row.startswith("sessions/h"))

    assert " 300 " in top
    assert "█" in top


def test_a_plan_without_sessions_has_no_curve_of_them(tmp_path: Path) -> None:
    text = "version: 1\nname: t\nfleets: {a: {count: 3}}\nstages: [{for: 10s, online: 100%}]\n"

    assert not any("sessions" in row for row in rows(plan_of(tmp_path, text=text)))


def test_a_fault_is_marked_at_its_moment_and_one_with_a_rate_over_its_time(plan: Plan) -> None:
    (row,) = (row for row in rows(plan) if row.startswith("faults"))
    offset = len("sessions/h 300 ")
    cells = row[offset:]
    columns = 80 - offset

    assert fault_marks(plan) == {"flaky": "a", "cut": "b"}
    assert cells.index("a") < cells.index("b") < cells.rindex("─")
    assert (cells.index("a"), cells.index("b")) == (columns // 4, columns // 2)


def test_stages_stand_where_they_begin(plan: Plan) -> None:
    (row,) = (row for row in rows(plan) if row.startswith("stages"))

    assert row.index("|ramp") < row.index("|peak") < row.index("|down")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_picture_fits_the_terminal(width: int, encoding: str, plan: Plan) -> None:
    text = shown(plan, width, encoding=encoding)

    assert encoding == "utf-8" or text.isascii()
    assert "\x1b" not in text
    picture, _, _ = text.partition("\n\nfaults\n")
    lines = picture.splitlines()
    assert max(map(len, lines[1:])) <= max(width, len("sessions/h 300 ") + 20)


def test_the_figures_of_each_stage_are_shown(plan: Plan) -> None:
    text = shown(plan, 120)

    assert "flaky: drop reset 10:00 to 30:00, 1.0/h each, 100% of all fleets" in text
    assert "cut: drop reset at 20:00 for 1m, 100% of all fleets" in text
    assert "cut at 21:05: 100 in 10.0s, 10.0/s" in text
    assert "down (not measured)" in text
    assert "228 a worker, the embedded CSMS 228; limit " in text


def test_a_csms_in_several_processes_is_told_with_what_the_fullest_of_them_needs(tmp_path: Path) -> None:
    text = plan_of(
        tmp_path, text=TEXT.replace("count: 100,", "count: 100000,") + "csms: {embedded: {processes: 6}}\n"
    )
    (line,) = (each for each in shown(text, workers=6).splitlines() if each.startswith("  descriptors"))

    assert "16,795 a worker, 17,441 a CSMS process; limit " in line
    assert "…" not in line


def test_a_ramp_that_the_cap_cannot_follow_is_told_with_its_time(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "csms.connect.rate=5/s", "stages.ramp.jump=true")

    assert "ramp at 00:00: 100 at once, and csms.connect.rate lets 5.0/s through: it takes 20.0s" in shown(plan, 120)


def test_what_the_machine_cannot_do_is_told(tmp_path: Path) -> None:
    assert "NOT ENOUGH: too few" in shown(plan_of(tmp_path, "fleets.a.count=900000"), 120)


def test_ports_that_take_long_to_find_are_told_beside_the_machine_s_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "ephemeral_ports", lambda: 120)
    monkeypatch.setattr(preflight, "easy_ports", lambda ports: ports // 2)

    told = " ".join(shown(plan_of(tmp_path)).split())

    assert "warning: 100 connections from a source address of 120 ports: from 60 on" in told
    assert "give 2 csms.source_addresses" in told
    assert "NOT ENOUGH" not in told


def test_the_numbers_are_json(plan: Plan) -> None:
    needs = needs_of(plan, 2)

    assert json.loads(json.dumps(needs)) == needs
    assert needs["workers"]["charge_points_each"] == 50
    assert needs["charge_points"] == {"in_all": 100, "online_max": 100}
    assert needs["connects"]["surges"][0]["what"] == "cut"


def test_the_disk_that_a_run_takes_grows_with_its_length_and_is_told_for_a_day(tmp_path: Path) -> None:
    short, long = plan_of(tmp_path, "stages.peak.for=1h"), plan_of(tmp_path, "stages.peak.for=25h")
    disk = [needs_of(each, 1)["disk_bytes"] for each in (short, long)]

    assert disk[1]["at_most"] - disk[0]["at_most"] == pytest.approx(disk[0]["a_day"], rel=0.01)


def test_what_only_the_csms_knows_is_said_to_be_assumed(tmp_path: Path) -> None:
    text = TEXT + "csms: {url: 'ws://127.0.0.1:9/x?token=hunter2'}\n"

    told = shown(plan_of(tmp_path, text=text), 120)

    assert "The CSMS sets the heartbeat interval: 300 s are taken here." in told
    assert "hunter2" not in told
