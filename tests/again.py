"""Tests that compare times of this machine (marked ``timed``) are tried again: a machine can stand still."""

from __future__ import annotations

from typing import Final

import pytest
from _pytest.runner import runtestprotocol

TRIES: Final = 3


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"timed: says how long things take on this machine; tried {TRIES} times")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Report a timed test's first try that did not fail, or the last one."""
    if item.get_closest_marker("timed") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for _ in range(TRIES):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in reports):
            break
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
