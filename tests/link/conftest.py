"""Whatever is said of real connections is said with either poller, and most of it with TLS and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadsim.link.poller import Poller, TaskPoller, make_poller
from tests.link.peer import self_signed


@pytest.fixture(params=["plain", "tls"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "plain" else self_signed(tmp_path)


@pytest.fixture(params=["best poller", "a task each"])
def pollers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Poller]:
    """What makes the pollers of all connectors of a test."""
    if request.param == "best poller":
        return make_poller
    monkeypatch.setattr("loadsim.link.websocket.make_poller", TaskPoller)
    return TaskPoller
