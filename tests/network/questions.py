"""All that a central system may ask of charge points, in an order that makes sense, and what OCPP makes them answer.

What is about files and certificates is in `questions_of_upkeep`.
"""

from __future__ import annotations

from typing import Any

from tests.network.steps import (
    ask,
    asks,
    available,
    change,
    once,
    periods,
    profile,
    reserve,
    set_profile,
    start,
    status,
    wait,
)

NOBODY = 987_654  # no transaction has this id
DAILY: dict[str, Any] = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "start_schedule": "$now -60"}

CONFIGURATION = [
    asks(ask("GetConfiguration", "answered"), lacks="unknownKey"),
    asks(
        ask("GetConfiguration", "answered", key=["numberofconnectors", "Nonsense", "AuthorizationKey"]),
        answer={
            "configurationKey": [{"key": "NumberOfConnectors", "readonly": True, "value": "8"}],
            "unknownKey": ["Nonsense", "AuthorizationKey"],
        },
    ),
    asks(change("HeartbeatInterval", "1"), until=wait("Heartbeat")),
    change("HeartbeatInterval", "soon", "Rejected"),
    change("NumberOfConnectors", "3", "Rejected"),
    change("WebSocketPingInterval", "-1", "Rejected"),
    change("NoSuchKey", "1", "NotSupported"),
    ask("ClearCache"),
    change("AuthorizationCacheEnabled", "false"),
    ask("ClearCache", "Rejected"),
    change("AuthorizationCacheEnabled", "true"),
    asks(ask("DataTransfer", "UnknownVendorId", vendorId="org.example", messageId="M", data="{}"), lacks="data"),
]
LOCAL_LIST = [
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": 0}),
    ask(
        "SendLocalList",
        listVersion=3,
        updateType="Full",
        localAuthorizationList=[
            {
                "idTag": "LIST1",
                "idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP", "expiryDate": "$now 3600"},
            },
            {"idTag": "LIST2", "idTagInfo": {"status": "Blocked"}},
        ],
    ),
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": 3}),
    ask("SendLocalList", "VersionMismatch", listVersion=3, updateType="Differential"),
    ask("SendLocalList", listVersion=4, updateType="Differential", localAuthorizationList=[{"idTag": "LIST2"}]),
    ask(
        "SendLocalList",
        "Failed",
        listVersion=9,
        updateType="Full",
        localAuthorizationList=[{"idTag": "TWICE", "idTagInfo": {"status": "Accepted"}}] * 2,
    ),
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": 4}),
    change("LocalAuthListEnabled", "false"),
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": -1}),
    ask("SendLocalList", "NotSupported", listVersion=10, updateType="Full"),
    change("LocalAuthListEnabled", "true"),
]
TRIGGERS = [
    once("StatusNotification", connectorId=8),  # what it says after a boot has been said
    ask("TriggerMessage", "Rejected", requestedMessage="BootNotification"),
    asks(ask("TriggerMessage", requestedMessage="Heartbeat"), until=wait("Heartbeat")),
    asks(ask("TriggerMessage", requestedMessage="StatusNotification"), until=status(0, "Available")),
    asks(ask("TriggerMessage", requestedMessage="StatusNotification", connectorId=4), until=status(4, "Available")),
    ask("TriggerMessage", "Rejected", requestedMessage="StatusNotification", connectorId=99),
    asks(
        ask("TriggerMessage", requestedMessage="MeterValues", connectorId=5),
        until=wait("MeterValues", connectorId=5),
    ),
    asks(
        ask("TriggerMessage", requestedMessage="FirmwareStatusNotification"),
        until=wait("FirmwareStatusNotification", status="Idle"),
    ),
    asks(
        ask("TriggerMessage", requestedMessage="DiagnosticsStatusNotification"),
        until=wait("DiagnosticsStatusNotification", status="Idle"),
    ),
]


RESERVATIONS = [
    asks(reserve(8, 70, "FRIEND1"), until=status(8, "Reserved")),
    reserve(8, 71, "FRIEND2", "Occupied"),
    reserve(99, 71, "FRIEND2", "Rejected"),
    reserve(7, 71, "FRIEND2", "Rejected", "$now -60"),
    start(8, "FRIEND2", "Rejected"),
    ask("CancelReservation", "Rejected", reservationId=71),
    asks(ask("CancelReservation", reservationId=70), until=status(8, "Available")),
    asks(reserve(8, 72, "FRIEND1", expiry="$now 2"), until=status(8, "Available")),  # when it has expired
    asks(reserve(1, 73, "FRIEND1"), until=status(1, "Reserved")),
    asks(available(7, "Inoperative"), until=status(7, "Unavailable")),
    available(7, "Inoperative"),
    reserve(7, 74, "FRIEND1", "Unavailable"),
    start(7, "FRIEND1", "Rejected"),
    available(99, "Operative", "Rejected"),
    asks(available(7, "Operative"), until=status(7, "Available")),
]
TRANSACTIONS = [
    change("MeterValueSampleInterval", "1"),
    start(1, "FRIEND1", chargingProfile=profile(1, "TxProfile", 40_000)),
    start(2, "FRIEND2"),
    start(3, "FRIEND3"),
    start(5, "INV0001"),
    start(6, "BLK0001"),
    start(99, "FRIEND9", "Rejected"),
    start(4, "FRIEND4", "Rejected", chargingProfile=profile(2, "TxDefaultProfile", 40_000)),
    once("StartTransaction", connectorId=1, reservationId=73, idTag="FRIEND1"),
    once("StartTransaction", connectorId=2, idTag="FRIEND2"),
    once("StartTransaction", connectorId=3, idTag="FRIEND3"),
    once("StopTransaction", reason="DeAuthorized"),  # of INV0001, which only turned out at its start
    reserve(2, 75, "FRIEND1", "Occupied"),
    start(2, "FRIEND1", "Rejected"),
    available(2, "Inoperative", "Scheduled"),
    asks(
        ask("TriggerMessage", requestedMessage="MeterValues", connectorId=2),
        until=wait("MeterValues", connectorId=2),
    ),
    # What a connector may draw, and what it then does.
    set_profile(0, "Accepted", **profile(10, "ChargePointMaxProfile", 90_000)),
    set_profile(1, "Rejected", **profile(11, "ChargePointMaxProfile", 90_000)),
    set_profile(0, "Accepted", **profile(12, "TxDefaultProfile", 6_000)),
    set_profile(8, "Rejected", **profile(13, "TxProfile", 6_000)),
    set_profile(2, "Rejected", **profile(13, "TxProfile", 6_000, transactionId=NOBODY)),
    set_profile(2, "Rejected", **profile(13, "TxDefaultProfile", 6_000, level=99)),
    set_profile(99, "Rejected", **profile(13, "TxDefaultProfile", 6_000)),
    asks(
        ask("GetCompositeSchedule", connectorId=3, duration=60, chargingRateUnit="W"),
        answer={"connectorId": 3, **periods(6_000)},
    ),
    asks(
        ask("GetCompositeSchedule", connectorId=1, duration=60, chargingRateUnit="W"),
        answer=periods(30_000),  # a third of the whole, for three charge: less than its own profile allows
    ),
    asks(
        ask("GetCompositeSchedule", connectorId=3, duration=60, chargingRateUnit="A"),
        answer=periods(8.6),  # 6 kW by 230 V on three phases; what limits is rounded down
    ),
    ask("GetCompositeSchedule", "Rejected", connectorId=99, duration=60),
    ask("GetCompositeSchedule", "Rejected", connectorId=1, duration=0),
    # Another kind of profile, and such as contradict themselves.
    set_profile(8, "Accepted", **profile(20, "TxDefaultProfile", 7_000, **DAILY, validTo="$now 3600")),
    set_profile(
        8, "Rejected", **profile(21, "TxDefaultProfile", 7_000, **DAILY, validTo="$now -60", validFrom="$now 0")
    ),
    set_profile(8, "Rejected", **profile(22, "TxDefaultProfile", 7_000, recurrencyKind="Daily")),
    set_profile(8, "Rejected", **profile(23, "TxDefaultProfile", 7_000, transactionId=NOBODY)),
    asks(ask("GetCompositeSchedule", connectorId=8, duration=60, chargingRateUnit="W"), answer=periods(7_000)),
    asks(
        ask(
            "SetChargingProfile",
            connectorId=3,
            csChargingProfiles=profile(14, "TxProfile", 0.0, level=2, transactionId="$transaction 3"),
        ),
        until=status(3, "SuspendedEVSE"),
    ),
    asks(ask("ClearChargingProfile", id=14), until=status(3, "Charging")),
    ask("ClearChargingProfile", "Unknown", id=14),
    ask("ClearChargingProfile"),
    ask("ClearChargingProfile", "Unknown"),
    # How transactions end.
    asks(
        ask("RemoteStopTransaction", transactionId="$transaction 2"),
        until=wait("StopTransaction", reason="Remote"),
    ),
    ask("RemoteStopTransaction", "Rejected", transactionId="$transaction 2"),
    ask("RemoteStopTransaction", "Rejected", transactionId=NOBODY),
    asks(ask("UnlockConnector", "Unlocked", connectorId=1), until=wait("StopTransaction", reason="UnlockCommand")),
    ask("UnlockConnector", "Unlocked", connectorId=8),
    ask("UnlockConnector", "NotSupported", connectorId=99),
    asks(ask("UnlockConnector", "Unlocked", connectorId=2), until=status(2, "Unavailable")),  # as it was scheduled
    asks(change("ClockAlignedDataInterval", "1"), until=wait("MeterValues", connectorId=3)),
]
RESETS = [
    change("ConnectorPhaseRotation", "1.RTS,2.SRT", "RebootRequired"),
    once("StartTransaction"),
    asks(ask("Reset", type="Soft"), until=wait("StopTransaction", reason="SoftReset")),
    wait("BootNotification"),
    asks(
        ask("GetConfiguration", "answered", key=["ConnectorPhaseRotation"]),
        answer={"configurationKey": [{"value": "1.RTS,2.SRT", "readonly": False}]},
    ),
    wait("StartTransaction"),
    asks(ask("Reset", type="Hard"), until=wait("BootNotification")),
    once("StopTransaction", reason="HardReset"),
]
LATE = [
    # While its boot is Pending.
    start(1, "FRIEND1", "Rejected"),
    ask("RemoteStopTransaction", "Rejected", transactionId=NOBODY),
    asks(
        ask("GetConfiguration", "answered", key=["NumberOfConnectors"]),
        answer={"configurationKey": [{"value": "2"}]},
    ),
    asks(ask("TriggerMessage", requestedMessage="Heartbeat"), until=wait("Heartbeat")),
    asks(ask("TriggerMessage", requestedMessage="StatusNotification", connectorId=1), until=status(1, "Available")),
    asks(ask("TriggerMessage", requestedMessage="BootNotification"), until=wait("BootNotification")),
    once("StatusNotification", connectorId=2),
    ask("TriggerMessage", "Rejected", requestedMessage="BootNotification"),
]
