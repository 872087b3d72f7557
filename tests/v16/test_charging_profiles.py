"""The charging profiles that a charge point holds (OCPP 1.6, sections 3.13, 5.5, 5.16 and 7.8 to 7.14)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from loadsim.v16.connectors import Transaction
from loadsim.v16.messages.smart_charging import ClearChargingProfileRequest
from loadsim.v16.messages.types import ChargingProfile
from loadsim.v16.smart_charging.charging_profiles import MAX_INSTALLED, ChargingProfiles
from loadsim.v16.smart_charging.composite_schedule import limit_at
from loadsim.v16.smart_charging.prepared_profile import (
    ALLOWED_UNITS,
    MAX_PERIODS,
    MAX_STACK_LEVEL,
    makes_sense,
    remote_start_problem,
)
from tests.v16.profiles import NOON, profile


def running(number: int | None = 7, connector_id: int = 1) -> Transaction:
    transaction = Transaction(connector_id, "TAG", 0, NOON)
    transaction.id = number
    return transaction


def install(
    profiles: ChargingProfiles, each: ChargingProfile, connector_id: int = 0, transaction: Transaction | None = None
) -> bool:
    return profiles.install(connector_id, each, NOON, transaction)


def watts(profiles: ChargingProfiles, connector_id: int = 1) -> float:
    return limit_at(profiles, connector_id, NOON).watts


def clear(profiles: ChargingProfiles, **what: Any) -> bool:
    return profiles.clear(msgspec.convert(what, ClearChargingProfileRequest))


def test_the_limits_of_smart_charging_are_those_of_the_configuration_keys() -> None:
    assert (MAX_STACK_LEVEL, MAX_PERIODS, MAX_INSTALLED, ALLOWED_UNITS) == (8, 24, 20, "Current,Power")


# Which make sense.


@pytest.mark.parametrize(
    "sensible",
    [
        {},
        {"kind": "Relative"},
        {"start": NOON},
        {"kind": "Recurring", "recurrency": "Daily", "start": NOON},
        {"kind": "Recurring", "recurrency": "Weekly", "start": NOON, "duration": 3600},
        {"level": MAX_STACK_LEVEL},
        {"periods": dict.fromkeys(range(MAX_PERIODS), 1)},
        {"periods": {0: 0}},
        {"periods": {0: 6.5, 60: 32}, "unit": "A", "phases": 1},
        {"phases": 3},
        {"duration": 1},
        {"min_rate": 0.0},
        {"valid_from": NOON, "valid_to": NOON + timedelta(milliseconds=1)},
        {"purpose": "TxProfile", "transaction": 0},
        {"purpose": "TxProfile", "transaction": -5},
        {"number": -1},
    ],
)
def test_a_profile_that_the_specification_allows_makes_sense(sensible: dict[str, Any]) -> None:
    assert makes_sense(profile(**sensible))


@pytest.mark.parametrize(
    "senseless",
    [
        {"level": -1},
        {"level": MAX_STACK_LEVEL + 1},
        {"level": 10**400},
        {"periods": {}},
        {"periods": {1: 100}},
        {"periods": {0: 100, 60: 50, 30: 20}},
        {"periods": [{"startPeriod": 0, "limit": 1}, {"startPeriod": 0, "limit": 2}]},
        {"periods": {-1: 100, 0: 50}},
        {"periods": dict.fromkeys(range(MAX_PERIODS + 1), 1)},
        {"periods": {0: -0.1}},
        {"periods": {0: 100, 60: -1}},
        {"phases": 0},
        {"phases": 4},
        {"phases": -1},
        {"duration": 0},
        {"duration": -60},
        {"min_rate": -1.0},
        {"kind": "Recurring", "start": NOON},
        {"kind": "Recurring", "recurrency": "Daily"},
        {"recurrency": "Daily", "start": NOON},
        {"kind": "Relative", "recurrency": "Weekly"},
        {"kind": "Relative", "start": NOON},
        {"valid_from": NOON, "valid_to": NOON},
        {"valid_from": NOON, "valid_to": NOON - timedelta(seconds=1)},
        {"transaction": 7},
        {"purpose": "ChargePointMaxProfile", "transaction": 7},
    ],
)
def test_a_profile_that_contradicts_itself_is_not_installed(senseless: dict[str, Any]) -> None:
    profiles = ChargingProfiles(1, 3)
    assert not install(profiles, profile(**senseless))
    assert len(profiles) == 0


# Where they belong.


@pytest.mark.parametrize(("connector_id", "taken"), [(-1, False), (0, True), (1, True), (2, True), (3, False)])
def test_a_default_is_set_for_all_connectors_or_for_one_that_is_there(connector_id: int, taken: bool) -> None:
    assert install(ChargingProfiles(2, 3), profile(), connector_id) is taken


@pytest.mark.parametrize(("connector_id", "taken"), [(-1, False), (0, True), (1, False), (2, False)])
def test_the_limit_of_the_charge_point_is_set_at_connector_0_only(connector_id: int, taken: bool) -> None:
    assert install(ChargingProfiles(2, 3), profile(purpose="ChargePointMaxProfile"), connector_id) is taken


@pytest.mark.parametrize(
    ("connector_id", "transaction", "meant", "taken"),
    [
        (1, running(7), 7, True),
        (1, running(7), None, True),
        (1, running(7), 8, False),
        (1, running(0), 0, True),
        (1, running(None), None, True),
        (1, running(None), 7, False),
        (1, None, None, False),
        (1, None, 7, False),
        (0, running(7), 7, False),
        (0, None, None, False),
    ],
)
def test_rule_39_a_transactions_profile_needs_its_transaction(
    connector_id: int, transaction: Transaction | None, meant: int | None, taken: bool
) -> None:
    meant_for = profile(purpose="TxProfile", transaction=meant)
    assert install(ChargingProfiles(2, 3), meant_for, connector_id, transaction) is taken


def test_a_transactions_profiles_go_with_it_and_no_others() -> None:
    profiles = ChargingProfiles(2, 3)
    install(profiles, profile(1, periods={0: 5000}), 1)
    install(profiles, profile(2, purpose="TxProfile", periods={0: 1000}), 1, running())
    install(profiles, profile(3, 1, purpose="TxProfile", periods={0: 1500}), 1, running())
    install(profiles, profile(4, purpose="TxProfile", periods={0: 2000}), 2, running(8, 2))
    assert (watts(profiles), watts(profiles, 2)) == (1500, 2000)

    profiles.end_transaction(1)
    assert (watts(profiles), watts(profiles, 2)) == (5000, 2000)
    assert len(profiles) == 2


# Which replaces which.


def test_rule_39_the_same_id_replaces_wherever_it_was() -> None:
    profiles = ChargingProfiles(2, 3)
    install(profiles, profile(1, 3, periods={0: 5000}), 1)
    install(profiles, profile(1, 5, "ChargePointMaxProfile", periods={0: 8000}), 0)
    assert len(profiles) == 1
    assert (watts(profiles), watts(profiles, 2)) == (8000, 8000)


def test_rule_39_the_same_stack_level_and_purpose_replaces_at_once() -> None:
    profiles = ChargingProfiles(1, 3)
    install(profiles, profile(1, 3, periods={0: 5000}))
    install(profiles, profile(2, 3, periods={0: 6000}, valid_from=NOON + timedelta(days=1)))
    # The old one is not kept until the new one is valid (section 3.13.2).
    assert len(profiles) == 1
    assert watts(profiles) == float("inf")


def test_rule_39_one_profile_may_replace_two_others() -> None:
    profiles = ChargingProfiles(1, 3)
    install(profiles, profile(1, 1))
    install(profiles, profile(2, 2))
    install(profiles, profile(1, 2, periods={0: 700}))
    assert len(profiles) == 1
    assert watts(profiles) == 700


@pytest.mark.parametrize(
    "other",
    [
        {"level": 4},
        {"purpose": "ChargePointMaxProfile"},
        {"purpose": "TxProfile", "connector_id": 1},
        {"connector_id": 1},
    ],
)
def test_another_level_purpose_or_connector_is_added(other: dict[str, Any]) -> None:
    profiles = ChargingProfiles(1, 3)
    where = other.pop("connector_id", 0)
    assert install(profiles, profile(1, 3))
    assert install(profiles, profile(2, **{"level": 3, **other}), where, running())
    assert len(profiles) == 2


def test_a_profile_that_is_refused_replaces_nothing() -> None:
    profiles = ChargingProfiles(1, 3)
    install(profiles, profile(1, periods={0: 5000}))
    assert not install(profiles, profile(1, periods={0: -1}))
    assert watts(profiles) == 5000


def test_no_more_profiles_are_installed_than_there_is_room_for() -> None:
    profiles = ChargingProfiles(3, 3)
    for n in range(MAX_INSTALLED):
        assert install(profiles, profile(n, n % 9, periods={0: 1000 + n}), n // 9)
    assert not install(profiles, profile(99, 0, "ChargePointMaxProfile"))
    assert len(profiles) == MAX_INSTALLED
    assert install(profiles, profile(0, 0, periods={0: 1}))  # in place of another
    assert len(profiles) == MAX_INSTALLED


# The profile of a remote start.


@pytest.mark.parametrize(
    ("brought", "problem"),
    [
        ({"purpose": "TxProfile"}, False),
        ({"purpose": "TxProfile", "kind": "Relative", "duration": 600}, False),
        ({"purpose": "TxDefaultProfile"}, True),
        ({"purpose": "ChargePointMaxProfile"}, True),
        ({"purpose": "TxProfile", "transaction": 7}, True),
        ({"purpose": "TxProfile", "periods": {}}, True),
    ],
)
def test_rule_25_a_remote_start_brings_a_profile_of_its_transaction_or_is_refused(
    brought: dict[str, Any], problem: bool
) -> None:
    assert remote_start_problem(profile(**brought)) is problem


def test_rule_25_a_remote_starts_profile_comes_in_though_all_places_are_taken() -> None:
    profiles = ChargingProfiles(3, 3)
    for n in range(MAX_INSTALLED):
        assert install(profiles, profile(n, n % 9, periods={0: 9000}), n // 9)
    profiles.install_with_transaction(1, profile(77, 0, "TxProfile", periods={0: 3000}), NOON)
    assert len(profiles) == MAX_INSTALLED + 1
    assert watts(profiles) == 3000


def test_rule_25_a_remote_starts_profile_replaces_as_any_other() -> None:
    profiles = ChargingProfiles(1, 3)
    install(profiles, profile(1, 0, "TxProfile", periods={0: 1000}), 1, running())
    profiles.install_with_transaction(1, profile(2, 0, "TxProfile", periods={0: 3000}), NOON)
    assert len(profiles) == 1
    assert watts(profiles) == 3000


# Clearing.


def four() -> ChargingProfiles:
    profiles = ChargingProfiles(2, 3)
    install(profiles, profile(1, 0, "ChargePointMaxProfile"), 0)
    install(profiles, profile(2, 1), 0)
    install(profiles, profile(3, 1), 1)
    install(profiles, profile(4, 0, "TxProfile"), 1, running())
    return profiles


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({}, set()),
        ({"id": 3}, {1, 2, 4}),
        ({"id": 3, "connectorId": 2, "stackLevel": 8}, {1, 2, 4}),
        ({"connectorId": 0}, {3, 4}),
        ({"connectorId": 1}, {1, 2}),
        ({"stackLevel": 1}, {1, 4}),
        ({"stackLevel": 0}, {2, 3}),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, {1, 4}),
        ({"chargingProfilePurpose": "TxDefaultProfile", "connectorId": 1}, {1, 2, 4}),
        ({"chargingProfilePurpose": "TxProfile", "stackLevel": 0, "connectorId": 1}, {1, 2, 3}),
        ({"id": 5}, {1, 2, 3, 4}),
        ({"connectorId": 2}, {1, 2, 3, 4}),
        ({"chargingProfilePurpose": "TxProfile", "connectorId": 0}, {1, 2, 3, 4}),
        ({"stackLevel": -1}, {1, 2, 3, 4}),
    ],
)
def test_clearing_removes_one_by_its_id_or_all_that_match_everything_given(
    what: dict[str, Any], left: set[int]
) -> None:
    profiles = four()
    matched = clear(profiles, **what)
    assert {number for number in range(1, 5) if clear(profiles, id=number)} == left
    assert matched is (len(left) < 4)


# Whatever comes.


class Keeping(RuleBasedStateMachine):
    """Profiles come and go in any order; a plain dictionary by id says which must be there."""

    def __init__(self) -> None:
        super().__init__()
        self.profiles = ChargingProfiles(2, 3)
        self.model: dict[int, tuple[int, str, int]] = {}
        self.transactions: dict[int, Transaction | None] = {1: None, 2: None}

    def put(self, number: int, place: tuple[int, str, int]) -> None:
        self.model = {other: at for other, at in self.model.items() if at != place and other != number}
        self.model[number] = place

    @rule(
        number=st.integers(0, 40),
        connector_id=st.integers(0, 2),
        level=st.integers(0, 8),
        purpose=st.sampled_from(["ChargePointMaxProfile", "TxDefaultProfile", "TxDefaultProfile", "TxProfile"]),
    )
    def install(self, number: int, connector_id: int, level: int, purpose: str) -> None:
        place = connector_id, purpose, level
        transaction = self.transactions.get(connector_id)
        fits = {
            "ChargePointMaxProfile": connector_id == 0,
            "TxDefaultProfile": True,
            "TxProfile": transaction is not None,
        }[purpose]
        stay = sum(other != number and at != place for other, at in self.model.items())
        taken = install(self.profiles, profile(number, level, purpose), connector_id, transaction)
        assert taken == (fits and stay < MAX_INSTALLED)
        if taken:
            self.put(number, place)

    @rule(connector_id=st.integers(1, 2), number=st.none() | st.integers(0, 40))
    def begin(self, connector_id: int, number: int | None) -> None:
        if self.transactions[connector_id] is None:
            self.transactions[connector_id] = running(7, connector_id)
            if number is not None:
                self.profiles.install_with_transaction(connector_id, profile(number, 0, "TxProfile"), NOON)
                self.put(number, (connector_id, "TxProfile", 0))

    @rule(connector_id=st.integers(1, 2))
    def end(self, connector_id: int) -> None:
        self.transactions[connector_id] = None
        gone = {n for n, (where, purpose, _) in self.model.items() if (where, purpose) == (connector_id, "TxProfile")}
        self.profiles.end_transaction(connector_id)
        self.model = {number: at for number, at in self.model.items() if number not in gone}

    @rule(number=st.integers(0, 40))
    def clear_one(self, number: int) -> None:
        assert clear(self.profiles, id=number) == (self.model.pop(number, None) is not None)

    @rule(connector_id=st.integers(0, 2), level=st.integers(0, 8))
    def clear_some(self, connector_id: int, level: int) -> None:
        left = {n: at for n, at in self.model.items() if (at[0], at[2]) != (connector_id, level)}
        assert clear(self.profiles, connectorId=connector_id, stackLevel=level) == (len(left) < len(self.model))
        self.model = left

    @invariant()
    def as_many_as_the_model(self) -> None:
        assert len(self.profiles) == len(self.model)
        assert len(self.profiles) <= MAX_INSTALLED + 2
        assert self.profiles.limits_the_whole == any(at[1] == "ChargePointMaxProfile" for at in self.model.values())


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
