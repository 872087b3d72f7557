"""A run whose results cannot be written any more goes on, and shows its numbers all the same."""

import shutil
import sys

import pytest

from tests.network.running import run, running

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCENARIO = """
version: 1
name: unwritable
fleets: {demo: {count: 5, heartbeat: 1s}}
stages: [{for: 4s, online: 100%, jump: true}]
thresholds: [all errors == 0]
"""
STILL_REPORTED = ("PASSED INCOMPLETE  unwritable", "INVALID INCOMPLETE  unwritable")  # on a busy machine


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with open files in it cannot be removed there")
def test_a_run_whose_folder_is_gone_at_its_end_still_reports(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(SCENARIO, tmp_path_factory.mktemp("gone")) as under_way:
        under_way.wait_for_connections(5)
        shutil.rmtree(under_way.results)
        ended = under_way.finish()

    assert "Traceback" not in ended.stderr
    assert ended.code == 3, ended.stderr
    assert ended.stdout.startswith(STILL_REPORTED)
    assert "Not all results could be written" in ended.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell limits the size of files")
def test_a_run_that_fails_to_write_only_its_summary_says_so_and_is_not_passed_over(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = SCENARIO.replace("for: 4s", "for: 800ms")  # nothing is kept so far in the first second
    limited = ("sh", "-c", 'ulimit -f 6; exec "$@"', "sh")  # 3 KiB: a scenario fits in, a summary does not

    ended = run(text, tmp_path_factory.mktemp("full"), "--console", "off", prefix=limited)

    assert ended.code == 3, ended.stderr
    assert ended.stdout.startswith(STILL_REPORTED)
    assert "File too large" in ended.stdout
    assert not (ended.folder / "summary.json").exists()
