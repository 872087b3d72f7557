"""The README shows every figure that the benchmarks measure, and every client beside which loadsim is measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.bring_up import Burst, burst
from benchmarks.clients import CLIENTS
from tests.docs.documents import REFERENCE, ROOT, read

SOURCES = "".join(read(path) for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("key", table.FIGURES)
def test_the_readme_and_the_reference_have_every_figure(key: str) -> None:
    name, reach = table.FIGURES[key]

    assert re.search(rf"^\| {re.escape(name)} \| [^|]+ \| {re.escape(reach)} ?\|$", read(ROOT / "README.md"), re.M)
    assert f"**{name}**" in read(REFERENCE / "performance.md").replace("\n", " ")


@pytest.mark.parametrize("key", table.FIGURES)
def test_every_figure_is_measured(key: str) -> None:
    assert re.search(rf'table\.figure\(\s*"{key}"', SOURCES)


@pytest.mark.parametrize("client", CLIENTS.values(), ids=lambda client: client.label)
def test_the_readme_has_every_client(client: object) -> None:
    assert f"| {client.label} |" in read(ROOT / "README.md")  # type: ignore[attr-defined]


def test_a_burst_is_counted_from_its_first_event_to_its_last() -> None:
    happened = {"100": 1, "250": 2, "400": 1, "900": 5}

    assert burst(happened, 1, 4) == Burst(3, 2.5, 4.0)


def test_the_package_of_node_is_pinned_and_has_no_lock_file() -> None:
    peers = Path(ROOT / "benchmarks" / "peers")

    assert re.search(r'"ws": "\d+\.\d+\.\d+"', read(peers / "package.json"))
    assert not (peers / "package-lock.json").exists()
