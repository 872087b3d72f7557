"""What the central system says of id tags: statuses, groups, expiries, and the share that is rejected."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.central import Central
from loadsim.v16.central.tags import Share, parse_expiry
from tests.v16.central_system import START, ask, booted, start, stop, tag_status


def test_tags_are_judged_by_the_list_in_any_case() -> None:
    central = Central(EmbeddedCsms(tags={"Good": "Accepted", "BAD": "Expired"}))
    session = booted(central)
    judged = [tag_status(ask(session, "Authorize", {"idTag": tag})) for tag in ("gOOD", "bad", "unknown")]

    assert judged == ["Accepted", "Expired", "Invalid"]
    assert central.record()["actions"]["Authorize"]["refused"] == {"Expired": 1, "Invalid": 1}


def test_without_a_list_every_tag_is_accepted_and_with_an_empty_one_none() -> None:
    assert tag_status(ask(booted(Central(EmbeddedCsms())), "Authorize", {"idTag": "x"})) == "Accepted"
    assert tag_status(ask(booted(Central(EmbeddedCsms(tags={}))), "Authorize", {"idTag": "x"})) == "Invalid"


@given(st.floats(0, 1), st.integers(0, 400))
def test_a_share_is_exact_at_every_moment(share: float, count: int) -> None:
    picker = Share(share)

    assert sum(picker.pick() for _ in range(count)) == round(count * share)


@pytest.mark.parametrize("action", ["Authorize", "StartTransaction"])
def test_the_share_of_good_tags_is_blocked(action: str) -> None:
    central = Central(EmbeddedCsms(reject=0.02, tags={"good": "Accepted", "bad": "Invalid"}))
    sessions = [booted(central, f"CP{n}") for n in range(10)]
    for n in range(1000):
        payload = {"Authorize": {}, "StartTransaction": {**START, "meterStart": n}}[action]
        ask(sessions[n % 10], action, {**payload, "idTag": "good"})
        ask(sessions[n % 10], action, {**payload, "idTag": "bad"})

    assert central.record()["actions"][action]["refused"] == {"Blocked": 20, "Invalid": 1000}


def test_a_tag_comes_with_its_parent_and_its_expiry() -> None:
    central = Central(
        EmbeddedCsms(
            tags={"a": "Accepted", "b": "Blocked"},
            parents={"A": "GROUP", "B": "GROUP"},
            expiries={"A": "2030-01-01T01:00:00+01:00"},
        )
    )
    session = booted(central)

    assert ask(session, "Authorize", {"idTag": "A"})["idTagInfo"] == {
        "status": "Accepted",
        "parentIdTag": "GROUP",
        "expiryDate": "2030-01-01T00:00:00.000Z",
    }
    assert ask(session, "Authorize", {"idTag": "b"})["idTagInfo"] == {"status": "Blocked", "parentIdTag": "GROUP"}


def test_parents_are_known_also_where_every_tag_is_accepted() -> None:
    session = booted(Central(EmbeddedCsms(parents={"A": "GROUP"})))

    assert start(session)["idTagInfo"] == {"status": "Accepted", "parentIdTag": "GROUP"}


@pytest.mark.parametrize(("seconds", "expected"), [(-1, "Accepted"), (0, "Expired"), (1, "Expired")])
def test_an_accepted_tag_is_expired_from_its_expiry_on(seconds: int, expected: str) -> None:
    session = booted(Central(EmbeddedCsms(expiries={"A": "2026-06-01T00:00:00Z"})))
    now = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=seconds)

    assert tag_status(ask(session, "Authorize", {"idTag": "A"}, now)) == expected
    assert tag_status(ask(session, "StartTransaction", {**START, "meterStart": seconds}, now)) == expected


def test_a_blocked_tag_stays_blocked_past_its_expiry() -> None:
    session = booted(Central(EmbeddedCsms(tags={"A": "Blocked"}, expiries={"A": "2020-01-01T00:00:00Z"})))

    assert tag_status(ask(session, "Authorize", {"idTag": "A"})) == "Blocked"


def test_an_expired_tag_is_none_of_the_good_ones_of_which_a_share_is_rejected() -> None:
    central = Central(EmbeddedCsms(reject=0.5, expiries={"OLD": "2020-01-01T00:00:00Z"}))
    session = booted(central)
    for tag in ("OLD", "A", "OLD", "B", "OLD"):
        ask(session, "Authorize", {"idTag": tag})

    assert central.record()["actions"]["Authorize"]["refused"] == {"Expired": 3, "Blocked": 1}


@pytest.mark.parametrize("text", ["", "2026-03-01", "2026-03-01T00:00:00", "2026-02-30T00:00:00Z", "tomorrow"])
def test_an_expiry_needs_a_day_that_exists_a_time_and_an_offset(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_expiry(text)


def test_a_tag_in_a_transaction_may_start_another_unless_it_is_to_be_refused() -> None:
    session = booted(Central(EmbeddedCsms()))

    assert [tag_status(start(session, connectorId=n)) for n in (1, 2)] == ["Accepted", "Accepted"]


def test_row_16_a_tag_in_a_transaction_is_concurrent_in_any_case_and_at_any_charge_point() -> None:
    central = Central(EmbeddedCsms(concurrent_tx=True))
    here, elsewhere = booted(central, "CP1"), booted(central, "CP2")
    first = start(here, idTag="tag")

    assert tag_status(start(here, idTag="TAG", connectorId=2)) == "ConcurrentTx"
    assert tag_status(start(elsewhere, idTag="Tag")) == "ConcurrentTx"
    assert tag_status(start(elsewhere, idTag="other", connectorId=2)) == "Accepted"
    assert start(here, idTag="tag") == first  # sent again, it is no other transaction
    assert tag_status(ask(elsewhere, "Authorize", {"idTag": "tag"})) == "Accepted"  # of starts alone, section 7.2

    stop(here, first["transactionId"])

    assert tag_status(start(elsewhere, idTag="tag", meterStart=5)) == "Accepted"


def test_a_transaction_that_was_refused_does_not_make_its_tag_concurrent() -> None:
    central = Central(EmbeddedCsms(concurrent_tx=True, reject=1.0))
    session = booted(central)

    assert [tag_status(start(session, connectorId=n)) for n in (1, 2)] == ["Blocked", "Blocked"]
