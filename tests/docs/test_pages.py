"""Links lead somewhere, make targets exist, and nothing of the machine it was written on is in the pages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.documents import DOCS, PAGES, ROOT, blocks, read, script, without_code

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# The hosts that a page may name: those reserved for examples (RFC 2606), and what is linked to.
_HOSTS = ("csms.test.example", "localhost", "127.0.0.1", "keepachangelog.com", "semver.org")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    found = _HEADING.findall(re.sub(r"```.*?```", "", read(page), flags=re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_relative_link_leads_to_something_that_is_there(page: Path) -> None:
    broken = []
    for link in _LINK.findall(without_code(read(page))):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_every_page_is_in_the_index() -> None:
    index = read(DOCS / "README.md")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page != DOCS / "README.md"]

    assert [page for page in pages if f"({page})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_make_target_that_is_named_exists(page: Path) -> None:
    made = set(re.findall(r"^([a-z]+):", read(ROOT / "Makefile"), re.MULTILINE))
    shell = "".join(block.text for block in blocks("sh") if block.page == page)
    named = set(re.findall(r"`make ([a-z]+)", read(page)) + re.findall(r"^make ([a-z]+)", shell, re.MULTILINE))

    assert named <= made


@pytest.mark.parametrize("page", [*PAGES, DOCS / "console.svg"], ids=lambda page: page.name)
def test_no_page_names_a_machine_s_paths_or_hosts(page: Path) -> None:
    text = read(page).replace("http://www.w3.org/2000/svg", "")
    hosts = {host.partition(":")[0].partition("/")[0] for host in re.findall(r"\w+://([\w.:-]+)", text)}
    hosts -= {"..."}

    assert {host for host in hosts if host not in _HOSTS} == set()
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users|opt|mnt)/", text) == []
    assert re.findall(r"(?i)pypi\.org|npmjs|pythonhosted|index-url|docker\.io", text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_extra_that_is_installed_exists(page: Path) -> None:
    extras = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]

    assert set(re.findall(r"-e \"\.\[(\w+)\]\"", read(page))) <= set(extras)


def test_the_readme_shows_its_two_commands_first() -> None:
    first_screen = "\n".join(read(ROOT / "README.md").splitlines()[:30])

    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_the_picture_is_that_of_a_run_and_loads_nothing() -> None:
    svg = read(DOCS / "console.svg")

    assert "quickstart" in svg
    assert re.findall(r"@font-face|url\((?!#)|<image|<script", svg) == []


def test_a_picture_is_tidied_of_fonts_and_comments_that_name_hosts() -> None:
    svg = "<!-- from https://somewhere.example -->\n<svg>font-family: Fira Code, monospace;</svg>"

    assert script("make_picture").tidy(svg).startswith("<svg>font-family: ui-monospace")


def test_the_changelog_has_this_version() -> None:
    import loadsim  # noqa: PLC0415

    assert f"## [{loadsim.__version__}]" in read(ROOT / "CHANGELOG.md")


def test_the_floors_are_those_that_are_checked() -> None:
    contracts = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    drawn = next(block.text for block in blocks("text") if block.page.name == "0002-floors.md")
    floors = [line.partition("  ")[0] for line in drawn.splitlines() if not line.startswith(" ")]

    assert floors == contracts[0]["layers"]
