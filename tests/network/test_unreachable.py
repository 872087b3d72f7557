"""A CSMS that cannot be reached: exit code 3 before the run begins, and one line that says what was tried."""

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.network.running import Run, run
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCENARIO = """
version: 1
name: unreachable
csms: {url: "${CSMS_URL}", call_timeout: 1s}
fleets: {demo: {count: 30, reconnect: {first: 1s, factor: 1, max: 1s}}}
stages: [{for: 60s, online: 100%, jump: true}]
"""
OUTCOMES = {
    "http-401": "http_401",
    "http-404": "http_404",
    "http-503": "http_503",
    "close-at-once": "closed",
    "no-subprotocol": "subprotocol",
    "silent": "timeout",
    "garbage-handshake": "bad_handshake",
    "closed port": "refused",
    "unknown name": "dns",
}
LONGEST = 45.0  # seconds, of the 60 of the stage, of which most is for a busy machine to start the processes


def attempt(behaviour: str, folder: Path) -> tuple[Run, str]:
    if behaviour == "unknown name":
        return run(SCENARIO, folder, url="ws://no-such-host.invalid/ocpp"), "no-such-host.invalid"
    if behaviour == "closed port":
        with socket.socket() as bound:  # bound, and nobody listens: no other process gets the port meanwhile
            bound.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{bound.getsockname()[1]}/ocpp"
            return run(SCENARIO, folder, url=url), url
    with start("hostile_server", "--behaviour", behaviour) as peer:
        return run(SCENARIO, folder, url=peer.url), peer.url


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[tuple[Run, str]]]]:
    """All of them side by side: they wait more than they work."""
    folder = tmp_path_factory.mktemp("unreachable")
    with ThreadPoolExecutor(5) as pool:
        yield {behaviour: pool.submit(attempt, behaviour, folder) for behaviour in OUTCOMES}


@pytest.mark.parametrize("behaviour", OUTCOMES)
def test_an_unreachable_csms_ends_the_run_with_one_line_and_exit_code_3(
    behaviour: str, attempts: dict[str, Future[tuple[Run, str]]]
) -> None:
    ended, target = attempts[behaviour].result(280)

    summary = ended.check([3])
    assert ended.seconds < LONGEST
    (line,) = ended.stderr.splitlines()
    assert target in line
    assert "demo-00001, the first charge point of its fleet, was not let in" in line
    outcomes = {"dns", "timeout"} if behaviour == "unknown name" else {OUTCOMES[behaviour]}  # a resolver can be slow
    assert any(outcome in line for outcome in outcomes)
    assert summary["complete"] is False
    assert summary["connections"]["opened"] == 0
    refused = summary["connections"]["refused"]
    assert set(refused) <= outcomes
    assert sum(refused.values()) + summary["connections"]["abandoned"] == summary["connections"]["attempted"] == 1
    assert [each["cause"] for each in ended.examples] == list(refused)
    assert summary["charge_points"]["started"] == 1  # the other 29 were not sent into the same wall
    assert summary["duration_s"] == 0
    assert summary["actions"] == {}


def test_a_refusal_at_first_is_no_end_of_the_run_when_some_get_in(tmp_path: Path) -> None:
    with start("hostile_server", "--behaviour", "http-503", "--share-suffix", "7") as peer:
        ended = run(SCENARIO.replace("for: 60s", "for: 4s"), tmp_path, url=peer.url)
        record = peer.finish()

    summary = ended.check()
    assert summary["charge_points"]["booted"] == record["booted"] == 27
    refused, abandoned = summary["connections"]["refused"], summary["connections"]["abandoned"]
    assert refused.keys() == {"http_503"}
    assert refused["http_503"] <= record["handshakes"]["http-503"] <= refused["http_503"] + abandoned
    assert {each["charge_point"] for each in ended.examples} == {"demo-00007", "demo-00017", "demo-00027"}
