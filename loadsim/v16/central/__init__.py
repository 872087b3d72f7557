"""The central system of the embedded CSMS: what it answers, and what it remembers (OCPP 1.6, chapter 4)."""

from loadsim.v16.central.central import UNKNOWN_ACTION, Central
from loadsim.v16.central.session import ChargePointSession
from loadsim.v16.central.settings import CentralSettings
from loadsim.v16.central.store import KnownChargePoint, Store, StoreFailed
from loadsim.v16.central.transactions import TransactionInfo

__all__ = [
    "UNKNOWN_ACTION",
    "Central",
    "CentralSettings",
    "ChargePointSession",
    "KnownChargePoint",
    "Store",
    "StoreFailed",
    "TransactionInfo",
]
