"""A client that is measured does all the work that it is measured by."""

from __future__ import annotations

import pytest

from benchmarks.clients import CLIENTS, lead, measure_once
from benchmarks.peers.phases import WARM_UP
from tests.peers import NodeMissing, start

pytestmark = pytest.mark.network

CONNECTIONS = 5
CALLS = 3


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_boots_on_each_connection_and_makes_every_call(name: str) -> None:
    pytest.importorskip("picows")
    with start("sink", "--lifetime", "60") as sink:
        try:
            measure_once(CLIENTS[name], sink.url, CONNECTIONS, CALLS)
        except NodeMissing as missing:
            pytest.skip(str(missing))
        received = sink.finish()["received"]

    action = "MeterValues" if name == "meter-values" else "Heartbeat"
    assert received["BootNotification"] == CONNECTIONS
    assert received[action] == CONNECTIONS * (WARM_UP + CALLS)


def test_a_client_that_fails_is_no_figure() -> None:
    with lead(CLIENTS["bare"], "ws://127.0.0.1:1/ocpp", 1, 1) as led:
        led.wait_for("ready")
        led.go_on()

        with pytest.raises(RuntimeError, match="connected"):
            led.wait_for("connected")
