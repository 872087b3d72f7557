"""A run on the embedded CSMS that carries a plan of calls: what it asked for is what its charge points got."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network.running import run

pytestmark = pytest.mark.network

SCENARIO = """\
version: 1
name: driven
seed: 3
csms:
  embedded:
    calls:
      - {name: keys, send: GetConfiguration, with: {key: [HeartbeatInterval]}, at: 2s, share: 40%, over: 1s}
      - {name: beats, send: TriggerMessage, with: {requestedMessage: Heartbeat}, rate: 20/s, from: 1s, until: 3s}
      - {name: nobody, send: RemoteStopTransaction, rate: 10/s}
      - {name: after-the-boot, send: ChangeConfiguration, with: {key: NoSuchKey, value: "1"}, on: boot}
fleets:
  ac: {count: 20}
stages:
  - {for: 1s, online: 100%}
  - {for: 3s}
"""


@pytest.mark.timed
def test_what_the_csms_asked_by_plan_is_what_its_charge_points_answered(tmp_path: Path) -> None:
    csms = run(SCENARIO, tmp_path).check()["embedded_csms"]
    planned, calls = csms["planned_calls"], csms["calls"]

    assert {name: counts["called"] for name, counts in planned.items() if name in ("keys", "after-the-boot")} == {
        "keys": 8,
        "after-the-boot": 20,
    }
    assert 20 <= planned["beats"]["called"] <= 65  # poisson, 40 on average
    assert planned["nobody"]["called"] == 0
    assert planned["nobody"]["no_target"] == planned["nobody"]["due"] > 10
    assert {name: counts["answered"] for name, counts in calls.items()} == {
        "ChangeConfiguration": 20,
        "GetConfiguration": 8,
        "TriggerMessage": planned["beats"]["called"],
    }
    assert calls["ChangeConfiguration"]["refused"] == {"NotSupported": 20}
    assert [counts["sent"] - counts["answered"] for counts in calls.values()] == [0, 0, 0]
    assert csms["strays"] == {"late": 0, "unknown_id": 0, "duplicate": 0, "malformed": 0}
