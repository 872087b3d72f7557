"""Types that several messages share (OCPP 1.6, section 7): strings, identifiers, meter values, charging profiles."""

from __future__ import annotations

from typing import Annotated, Literal, dataclass_transform

import msgspec
from msgspec import UNSET, Meta, UnsetType

from loadsim.v16.messages.formats import DATE_TIME_PATTERN, URI_PATTERN, check_tenths


@dataclass_transform(kw_only_default=True, frozen_default=True)  # to mypy, a struct inherits neither
class Message(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Base of all messages and their parts: camelCase on the wire, nothing additional, nothing null.

    Fields are given by keyword (mypy sees to it); one that is not there is ``UNSET``. Decoding checks
    everything the schema says; constructing checks nothing but multiples of 0.1, for mypy checks the types.
    """


CiString20 = Annotated[str, Meta(max_length=20)]
CiString25 = Annotated[str, Meta(max_length=25)]
CiString50 = Annotated[str, Meta(max_length=50)]
CiString255 = Annotated[str, Meta(max_length=255)]
CiString500 = Annotated[str, Meta(max_length=500)]
IdToken = CiString20

# A str, not a datetime: msgspec's datetime would also take "2025-01-01 00:00:00+0100", and round what it took.
DateTime = Annotated[str, Meta(pattern=DATE_TIME_PATTERN, extra_json_schema={"format": "date-time"})]
"""RFC 3339 text with an offset; ``format_date_time`` writes one, ``parse_date_time`` reads one."""

Uri = Annotated[str, Meta(pattern=URI_PATTERN, extra_json_schema={"format": "uri"})]

# Both halves, so that 16 stays 16 and no integer is too long; the struct that holds one calls check_tenths.
Tenths = Annotated[int | float, Meta(extra_json_schema={"type": "number", "multipleOf": 0.1})]
"""A multiple of 0.1 (amperes or watts)."""

ChargePointErrorCode = Literal[
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "LocalListConflict",
    "NoError",
    "OtherError",
    "OverCurrentFailure",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "OverVoltage",
    "WeakSignal",
]
ChargePointStatus = Literal[
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
]
Reason = Literal[
    "EmergencyStop",
    "EVDisconnected",
    "HardReset",
    "Local",
    "Other",
    "PowerLoss",
    "Reboot",
    "Remote",
    "SoftReset",
    "UnlockCommand",
    "DeAuthorized",
]

AuthorizationStatus = Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"]


class IdTagInfo(Message):
    """What the CSMS says of an id tag (section 7.27)."""

    status: AuthorizationStatus
    expiry_date: DateTime | UnsetType = UNSET
    parent_id_tag: IdToken | UnsetType = UNSET


ReadingContext = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
    "Other",
]
ValueFormat = Literal["Raw", "SignedData"]
Measurand = Literal[
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "Power.Factor",
    "Current.Import",
    "Current.Export",
    "Current.Offered",
    "Voltage",
    "Frequency",
    "Temperature",
    "SoC",
    "RPM",
]
Phase = Literal["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"]
Location = Literal["Cable", "EV", "Inlet", "Outlet", "Body"]
# "Celcius" is how 1.6 first spelt it. Only the schema of MeterValues knows "Hertz".
UnitOfMeasure = Literal[
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "K",
    "Celcius",
    "Celsius",
    "Fahrenheit",
    "Percent",
]


class SampledValue(Message):
    """One value of a meter value, as MeterValues carries it (section 7.43)."""

    value: str
    context: ReadingContext | UnsetType = UNSET
    format: ValueFormat | UnsetType = UNSET
    measurand: Measurand | UnsetType = UNSET
    phase: Phase | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    unit: Literal[UnitOfMeasure, "Hertz"] | UnsetType = UNSET


class TransactionSampledValue(Message):
    """One value of a meter value, as StopTransaction carries it: without the unit Hertz."""

    value: str
    context: ReadingContext | UnsetType = UNSET
    format: ValueFormat | UnsetType = UNSET
    measurand: Measurand | UnsetType = UNSET
    phase: Phase | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    unit: UnitOfMeasure | UnsetType = UNSET


class MeterValue(Message):
    """Values sampled at one moment, as MeterValues carries them: at least one (section 7.33)."""

    timestamp: DateTime
    sampled_value: Annotated[tuple[SampledValue, ...], Meta(min_length=1)]


class TransactionMeterValue(Message):
    """Values sampled at one moment, as StopTransaction carries them: possibly none."""

    timestamp: DateTime
    sampled_value: tuple[TransactionSampledValue, ...]


ChargingRateUnit = Literal["A", "W"]
ChargingProfilePurpose = Literal["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]
ChargingProfileKind = Literal["Absolute", "Recurring", "Relative"]
RecurrencyKind = Literal["Daily", "Weekly"]


class ChargingSchedulePeriod(Message):
    """A limit from *start_period* seconds into the schedule on (section 7.14)."""

    start_period: int
    limit: Tenths
    number_phases: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        check_tenths(self.limit, "limit")


class ChargingSchedule(Message):
    """Limits over time, in the unit of *charging_rate_unit* (section 7.13)."""

    charging_rate_unit: ChargingRateUnit
    charging_schedule_period: tuple[ChargingSchedulePeriod, ...]
    duration: int | UnsetType = UNSET
    start_schedule: DateTime | UnsetType = UNSET
    min_charging_rate: Tenths | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.min_charging_rate is not UNSET:
            check_tenths(self.min_charging_rate, "minChargingRate")


class ChargingProfile(Message):
    """A charging schedule, and what and when it is for (section 7.8)."""

    charging_profile_id: int
    stack_level: int
    charging_profile_purpose: ChargingProfilePurpose
    charging_profile_kind: ChargingProfileKind
    charging_schedule: ChargingSchedule
    transaction_id: int | UnsetType = UNSET
    recurrency_kind: RecurrencyKind | UnsetType = UNSET
    valid_from: DateTime | UnsetType = UNSET
    valid_to: DateTime | UnsetType = UNSET
