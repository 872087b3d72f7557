"""What a central system answers to every action a charge point may send (OCPP 1.6, chapter 4; security extension)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Protocol, cast, get_args

import msgspec

from loadsim.errors import UsageError
from loadsim.ocpp.action import Action, InvalidPayload, encode_payload
from loadsim.ocpp.frame import Call, CallError, CallResult
from loadsim.v16.messages import BY_NAME, core, security
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.types import AuthorizationStatus, IdTagInfo

TRANSACTION_EVENTS: Final = ("started", "repeated_starts", "stopped", "unknown_stops")
UNKNOWN_ACTION: Final = "(unknown)"
"""All names that are no action of OCPP 1.6 count as one, for they come from the other side."""


class CentralSettings(Protocol):
    """What decides the answers; ``EmbeddedCsms`` of a plan is one.

    *boot_status* answers an identity's first, second, ... boot, the last one all that follow. *reject* is the
    share of good tags answered Blocked. *tags* is what each tag is answered, or None: Accepted, all of them.
    """

    @property
    def interval(self) -> int:
        """Seconds, in every answer to a BootNotification."""

    @property
    def boot_status(self) -> tuple[str, ...]:
        """At least one of Accepted, Pending, Rejected."""

    @property
    def reject(self) -> float:
        """From 0 to 1."""

    @property
    def tags(self) -> dict[str, str] | None:
        """Status by tag, in any case; unlisted tags are Invalid."""


class Share:
    """Pick an exact share of what comes by: of the first n, ``round(n * share)`` are picked."""

    __slots__ = ("_seen", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._seen = 0

    def pick(self) -> bool:
        """Say whether the next one is picked."""
        before = round(self._seen * self._share)
        self._seen += 1
        return round(self._seen * self._share) > before


class ActionCounts:
    """What became of the calls of one action; what was received and is no more was not answered in time."""

    __slots__ = ("answered", "errors", "received", "refused")

    def __init__(self) -> None:
        self.received = 0
        self.answered = 0
        self.refused: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers; *refused* are among *answered*, by status, *errors* by code."""
        return {
            "received": self.received,
            "answered": self.answered,
            "refused": dict(self.refused),
            "errors": dict(self.errors),
        }


class Central:
    """A central system: its settings, its charge points by identity, and the count of what it answered."""

    def __init__(self, settings: CentralSettings) -> None:
        """Take the settings.

        Raises:
            UsageError: a status is none of OCPP's, or a share is none.
        """
        _check(settings)
        self.interval = settings.interval
        self.boot_status = settings.boot_status
        self.boots: Counter[str] = Counter()
        self.transactions: Counter[str] = Counter()
        self._tags = None
        if settings.tags is not None:
            self._tags = {tag.lower(): status for tag, status in settings.tags.items()}
        self._rejected = {name: Share(settings.reject) for name in ("Authorize", "StartTransaction")}
        self._charge_points: dict[str, ChargePointSession] = {}
        self._counts: dict[str, ActionCounts] = {}

    def charge_point(self, identity: str) -> ChargePointSession:
        """Return what is known of *identity*; it outlives the charge point's connections."""
        session = self._charge_points.get(identity)
        if session is None:
            session = self._charge_points[identity] = ChargePointSession(self)
        return session

    def count(self, action: str) -> ActionCounts:
        """Return the counts of *action*."""
        counts = self._counts.get(action)
        if counts is None:
            counts = self._counts[action] = ActionCounts()
        return counts

    def judge(self, tag: str) -> str:
        """Return the AuthorizationStatus of *tag*, which is a CiString: case does not count."""
        return "Accepted" if self._tags is None else self._tags.get(tag.lower(), "Invalid")

    def judge_or_reject(self, action: str, tag: str) -> str:
        """Judge *tag*, and answer Blocked to the share of good ones that is to be rejected."""
        status = self.judge(tag)
        return "Blocked" if status == "Accepted" and self._rejected[action].pick() else status

    def record(self) -> dict[str, Any]:
        """Return what was received and answered so far: plain numbers by name, for JSON."""
        sessions = self._charge_points.values()
        return {
            "charge_points": {"known": len(sessions), "accepted": sum(session.accepted for session in sessions)},
            "boots": dict(self.boots),
            "actions": {name: counts.as_dict() for name, counts in sorted(self._counts.items())},
            "transactions": {
                **{name: self.transactions[name] for name in TRANSACTION_EVENTS},
                "open": sum(len(session.open_transactions) for session in sessions),
            },
        }


class ChargePointSession:
    """One charge point as the central system knows it, over all its connections."""

    __slots__ = ("accepted", "boots", "central", "last_start", "open_transactions")

    def __init__(self, central: Central) -> None:
        self.central = central
        self.boots = 0
        self.accepted = False
        self.open_transactions: set[int] = set()
        self.last_start: tuple[core.StartTransactionRequest, core.StartTransactionResponse] | None = None

    def answer(self, call: Call, now: datetime) -> CallResult | CallError:
        """Answer *call*; *now* needs a time zone."""
        action = BY_NAME.get(call.action)
        counts = self.central.count(UNKNOWN_ACTION if action is None else action.name)
        counts.received += 1
        try:
            response = self._handle(call, action, now)
        except InvalidPayload as error:
            counts.errors[error.code] += 1
            return CallError(call.id, error.code, str(error))
        counts.answered += 1
        if refusal := _refusal(response):
            counts.refused[refusal] += 1
        return CallResult(call.id, msgspec.Raw(encode_payload(response)))

    def leave(self, call: Call) -> None:
        """Count *call* as received and never answered: the connection ended before its latency was over."""
        action = BY_NAME.get(call.action)
        self.central.count(UNKNOWN_ACTION if action is None else action.name).received += 1

    def _handle(self, call: Call, action: Action | None, now: datetime) -> msgspec.Struct:
        if action is None:
            raise InvalidPayload("NotImplemented", f"{call.action[:50]} is no action of OCPP 1.6")
        if action.sender == "csms":
            raise InvalidPayload("NotSupported", f"{action.name} is for the central system to send")
        if not self.accepted and action.name != "BootNotification":  # section 4.2, errata 3.8
            raise InvalidPayload("SecurityError", "BootNotification was not accepted yet")
        request = action.decode_request(call.payload)
        handler = _HANDLERS.get(action.name)
        return action.response() if handler is None else handler(self, request, now)


def _boot(session: ChargePointSession, request: core.BootNotificationRequest, now: datetime) -> msgspec.Struct:
    central = session.central
    status = central.boot_status[min(session.boots, len(central.boot_status) - 1)]
    session.boots += 1
    session.accepted = status == "Accepted"
    central.boots[status] += 1
    return core.BootNotificationResponse(
        status=cast("core.RegistrationStatus", status),
        current_time=format_date_time(now),
        interval=central.interval,
    )


def _heartbeat(session: ChargePointSession, request: core.HeartbeatRequest, now: datetime) -> msgspec.Struct:
    return core.HeartbeatResponse(current_time=format_date_time(now))


def _authorize(session: ChargePointSession, request: core.AuthorizeRequest, now: datetime) -> msgspec.Struct:
    status = session.central.judge_or_reject("Authorize", request.id_tag)
    return core.AuthorizeResponse(id_tag_info=_info(status))


def _start(session: ChargePointSession, request: core.StartTransactionRequest, now: datetime) -> msgspec.Struct:
    central = session.central
    if session.last_start is not None and session.last_start[0] == request:
        earlier = session.last_start[1]
        if earlier.transaction_id in session.open_transactions:
            # Sent again because our answer was lost (section 3.7.1): one transaction has one id.
            central.transactions["repeated_starts"] += 1
            return earlier
    central.transactions["started"] += 1
    transaction_id = central.transactions["started"]
    session.open_transactions.add(transaction_id)
    status = central.judge_or_reject("StartTransaction", request.id_tag)
    response = core.StartTransactionResponse(id_tag_info=_info(status), transaction_id=transaction_id)
    session.last_start = request, response
    return response


def _stop(session: ChargePointSession, request: core.StopTransactionRequest, now: datetime) -> msgspec.Struct:
    known = request.transaction_id in session.open_transactions
    session.open_transactions.discard(request.transaction_id)
    session.central.transactions["stopped" if known else "unknown_stops"] += 1
    if isinstance(request.id_tag, str):
        return core.StopTransactionResponse(id_tag_info=_info(session.central.judge(request.id_tag)))
    return core.StopTransactionResponse()


def _data(session: ChargePointSession, request: core.DataTransferRequest, now: datetime) -> msgspec.Struct:
    return core.DataTransferResponse(status="UnknownVendorId")


def _sign(session: ChargePointSession, request: security.SignCertificateRequest, now: datetime) -> msgspec.Struct:
    return security.SignCertificateResponse(status="Rejected")  # there is no authority here that could sign


# An action that is not listed is confirmed: its response has no properties.
_HANDLERS: Final[Mapping[str, Callable[[ChargePointSession, Any, datetime], msgspec.Struct]]] = MappingProxyType(
    {
        "Authorize": _authorize,
        "BootNotification": _boot,
        "DataTransfer": _data,
        "Heartbeat": _heartbeat,
        "SignCertificate": _sign,
        "StartTransaction": _start,
        "StopTransaction": _stop,
    }
)


def _info(status: str) -> IdTagInfo:
    return IdTagInfo(status=cast("AuthorizationStatus", status))


def _refusal(response: Any) -> str | None:
    """Name the status by which *response* does not accept, if it has one."""
    holder = getattr(response, "id_tag_info", response)
    status = getattr(holder, "status", None)
    return status if isinstance(status, str) and status != "Accepted" else None


def _check(settings: CentralSettings) -> None:
    boots, tags = get_args(core.RegistrationStatus), get_args(AuthorizationStatus)
    if not settings.boot_status:
        raise UsageError(f"no boot status: at least one of {', '.join(boots)} is needed")
    for status in settings.boot_status:
        if status not in boots:
            raise UsageError(f"boot status {status!r}: expected one of {', '.join(boots)}")
    for tag, status in (settings.tags or {}).items():
        if status not in tags:
            raise UsageError(f"tag {tag!r} has the status {status!r}: expected one of {', '.join(tags)}")
    if not 0 <= settings.reject <= 1:
        raise UsageError(f"reject is {settings.reject}: expected a share from 0 to 1")
