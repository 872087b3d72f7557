"""Every kind of bad answer at once, for a tenth of two hundred charge points: the others do not feel it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.network.running import books_balance, run
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

GOOD, BAD = 180, 20
ATTEMPTS = 3
MOST_APART = 0.002  # seconds
SCENARIO = f"""
version: 1
name: mixture
seed: 6
csms: {{url: "${{CSMS_URL}}", call_timeout: 1s}}
id_tags: {{drivers: {{count: 100, pattern: "A{{n}}"}}, others: {{count: 100, pattern: "B{{n}}"}}}}
fleets:
  good: {{count: {GOOD}, id: "GOOD-{{n:03}}-0", authorize: 3600/h, tags: {{drivers: 100%}}}}
  bad:
    count: {BAD}
    id: "BAD-{{n:03}}-7"
    authorize: 3600/h
    tags: {{others: 100%}}
    reconnect: {{first: 200ms, factor: 2, max: 1s, jitter: 50%}}
stages:
  - {{name: ramp, for: 1s, online: 100%}}
  - {{name: steady, for: 4s}}
thresholds: ["Authorize[drivers] p99 < 20s during steady"]
"""


CLEAN = SCENARIO[: SCENARIO.index("  bad:")] + SCENARIO[SCENARIO.index("stages:") :]
CLEAN = CLEAN.replace("GOOD-", "CLEAN-")


def attempt(folder: Path) -> tuple[float, float]:
    """Run the scenario, and beside it the good half alone; return how far apart they are, and how late they were.

    Side by side and against one server, because that server takes its time for bad answers too, which delays both.
    """
    with start("hostile_server", "--answers", "mixed", "--share-suffix", "7") as peer, ThreadPoolExecutor() as pool:
        mixed, clean = pool.map(lambda text: run(text, folder, url=peer.url), (SCENARIO, CLEAN))
        record = peer.finish()
    summaries = mixed.check(), clean.check()
    sent: Counter[str] = Counter()
    for summary in summaries:
        books_balance(summary["actions"])
        sent.update({name: of["sent"] for name, of in summary["actions"].items()})
        good = summary["actions"]["Authorize"]["classes"]["drivers"]
        assert good["answered"] == good["accepted"] == good["sent"] > GOOD * 3
    assert sent == record["received"]
    assert {each["charge_point"][:3] for each in mixed.examples} == {"BAD"}
    assert clean.examples == []
    errors, strays = summaries[0]["actions"]["Authorize"]["errors"], summaries[0]["strays"]
    assert min(errors.values()) > 0, "every cause is in the mixture"
    assert min(strays[kind] for kind in ("malformed", "unknown_id", "duplicate")) > 0
    p99, reference = (summary["thresholds"][0]["actual"] for summary in summaries)
    return p99 - reference, max(summary["generator"]["lateness_p99_s"] for summary in summaries)


def test_a_mixture_of_bad_answers_to_a_tenth_delays_nobody_else(tmp_path: Path) -> None:
    """The 99th percentiles are within 2 ms; on a machine that is too busy, within what the lateness explains."""
    tries = []
    for _ in range(ATTEMPTS):
        apart, late = attempt(tmp_path)
        if apart <= MOST_APART:
            return
        tries.append((apart, late))

    assert any(apart <= MOST_APART + 2 * late for apart, late in tries if late > MOST_APART), tries
