"""Certificates for charge points: asked for with SignCertificate, sent with CertificateSigned (white paper, A02)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from loadsim.csms.calling import Answered, Outcome
from loadsim.scenario.plan import PlannedCall
from loadsim.v16.central import ChargePointSession

if TYPE_CHECKING:
    from loadsim.csms.authority import Authority


_TRIGGER: Final = "SignChargePointCertificate"


class Caller(Protocol):
    """Calls one charge point: ``Server.call``."""

    def __call__(self, identity: str, action: str, payload: Mapping[str, Any]) -> Awaitable[Outcome]:
        """Return what became of the call."""


class Signer:
    """Has what charge points ask for signed, and sends it to them once their requests are answered."""

    def __init__(
        self, db: str | None, *, call: Caller, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Begin without an authority; the first need makes it, or reads it from beside the file *db*."""
        self._path = None if db is None else Path(f"{db}.authority.pem")
        self._call = call
        self._now = now
        self._authority: Authority | None = None
        self._signed: str | None = None
        self._nursery: trio.Nursery | None = None
        self._count = 0
        self._answers: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def prepare(self, plan: Iterable[PlannedCall]) -> None:
        """Have the authority at hand where *plan* needs it: to make it later would hold up what is measured."""
        if any(each.send == "InstallCertificate" or _TRIGGER in each.payload.values() for each in plan):
            with suppress(ValueError):  # told with each request that it is missed for
                self._held()

    def consider(self, session: ChargePointSession, csr: str) -> bool:
        """Have a request signed (``Central.on_csr``); tell whether it was. ``take`` has the certificate."""
        try:
            self._signed = self._held().sign(csr, self._now())
        except ValueError as error:
            self._refused[str(error)] += 1
            return False
        self._count += 1
        return True

    def take(self) -> str | None:
        """Return the certificate that was signed while the last request was answered, once; None: none was."""
        signed, self._signed = self._signed, None
        return signed

    def deliver(self, identity: str, certificate: str) -> None:
        """Send a certificate to *identity*; nobody waits for it."""
        if self._nursery is not None:  # else the CSMS ends
            self._nursery.start_soon(self._deliver, identity, certificate)

    def certificate(self) -> str:
        """Return the authority's own certificate in PEM, the root that charge points have to trust.

        Raises:
            ValueError: there is no authority; the text says why.
        """
        return self._held().pem

    async def run(self) -> None:
        """Hold the calls that are under way, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def record(self) -> dict[str, Any]:
        """Return plain numbers by name, for JSON: ``signed = accepted + rejected + unanswered``."""
        accepted, rejected = self._answers["Accepted"], self._answers["Rejected"]
        return {
            "certificates": {
                "signed": self._count,
                "accepted": accepted,
                "rejected": rejected,
                "unanswered": self._count - accepted - rejected,
                "refused": dict(self._refused),
            }
        }

    async def _deliver(self, identity: str, certificate: str) -> None:
        outcome = await self._call(identity, "CertificateSigned", {"certificateChain": certificate})
        if isinstance(outcome, Answered):
            self._answers[outcome.response.status] += 1

    def _held(self) -> Authority:
        if self._authority is None:
            try:
                from loadsim.csms.authority import open_authority  # noqa: PLC0415 - few need what it imports
            except ImportError as error:
                raise ValueError("there is no authority: cryptography is not installed") from error
            self._authority = open_authority(self._path, self._now())
        return self._authority
