"""Faults of a CSMS in several processes: the tests of one that has its connections in its own, with two others.

All but those that take a restart to be there in no time: several processes need a moment for it.
"""

import socket

import pytest
import trio

from loadsim.csms import sockets
from tests.csms import peer
from tests.csms.peer import connected, dial
from tests.csms.test_faults import (  # noqa: F401
    test_a_stalled_csms_answers_afterwards_what_came_meanwhile,
    test_an_answer_that_was_due_in_a_stall_comes_after_it_and_the_time_in_it_is_that,
    test_calls_of_the_csms_wait_for_the_end_of_its_stall_and_their_time_out_does_too,
    test_faults_that_overlap_add_up,
    test_handshakes_are_refused_with_the_status_and_open_connections_stay,
    test_nothing_lasts_longer_than_the_plan_and_nothing_begins_after_it,
)
from tests.csms.test_restart_fault import (  # noqa: F401
    test_a_restart_resets_all_connections_at_once_and_listens_again_at_the_same_place,
    test_a_restart_within_a_restart_is_over_when_both_are,
    test_the_end_comes_while_it_is_away_as_at_any_other_time,
)
from tests.csms.troubled import LATE, begun, fault, troubled

pytestmark = [
    pytest.mark.network,
    pytest.mark.timed,
    pytest.mark.skipif(sockets.SHARING is None, reason="processes cannot share a port on this system"),
]


@pytest.fixture(autouse=True)
def _two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "PROCESSES", 2)


async def test_while_all_are_away_connects_are_refused_and_the_port_is_not_given_to_others() -> None:
    async with troubled(fault("restart", 1.0)) as server:
        began = await begun(server, "restart")
        await trio.sleep(LATE)
        while trio.current_time() < began + 0.9:
            with pytest.raises(OSError, match="all attempts to connect"):
                await dial(server)
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", int(server.url.rpartition(":")[2])))
            await trio.sleep(0.1)
        await trio.sleep_until(began + 1.0 + LATE)
        for number in range(8):
            async with connected(server, f"/CP{number}", boot=True):
                pass
