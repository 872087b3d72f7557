"""The CSMS of a virtual evening: the embedded one's answers, memory and plan of calls, and a network with troubles.

Connections are in memory, and every frame is kept as it was sent.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import trio
from cryptography import x509
from cryptography.x509.oid import NameOID

from loadsim.charge_point.context import Clock
from loadsim.csms import conversation
from loadsim.csms.calling import Answered, Callee, Calls, LineLost, Outcome
from loadsim.csms.drive import HEARD, Drive
from loadsim.link.memory import MemoryTransport, memory_pair
from loadsim.link.transport import ConnectFailed, ConnectionLost, ConnectRequest
from loadsim.ocpp.frame import Call, CallError, CallResult
from loadsim.scenario.plan import Plan
from loadsim.v16.central import Central, ChargePointSession
from loadsim.v16.orders import make_request
from tests.support import WALL
from tests.v16.authorities import Held
from tests.v16.frames import Frame

LOST_ANSWERS = {"StartTransaction": 0.08, "StopTransaction": 0.08}
"""Share of the answers that a breaking connection takes with it: the CSMS has done what was asked, nobody knows."""
OTHER_LOST_ANSWERS = 0.002


class Tap(MemoryTransport):
    """An end of a connection of which all that is sent is kept."""

    def __init__(
        self, end: MemoryTransport, frames: list[Frame], identity: str, number: int, *, by_csms: bool
    ) -> None:
        super().__init__(end._outgoing, end._incoming)
        self._frames = frames
        self._about = (identity, number, by_csms)

    def _put(self, message: str | bytes) -> None:
        super()._put(message)
        self._frames.append(Frame(trio.current_time(), *self._about, str(message)))


class Connection:
    """One connection of a charge point, as `loadsim.csms.server` has it."""

    legacy = False

    def __init__(self, csms: EveningCsms, identity: str, number: int) -> None:
        there, here = memory_pair()
        self.csms = csms
        self.number = number
        self.session = csms.central.charge_point(identity)
        self.client = Tap(there, csms.frames, identity, number, by_csms=False)
        self.transport = Tap(here, csms.frames, identity, number, by_csms=True)
        self.callee: Callee | None = None
        self.gone = False

    @property
    def identity(self) -> str:
        return self.session.identity

    async def serve(self) -> None:
        try:
            while True:
                text = await self.transport.receive()
                assert isinstance(text, str)
                request = conversation.read(text, self.csms.read, self)
                if request is not None:
                    self.csms.nursery.start_soon(self._answer, request)
        except ConnectionLost:
            self._end()

    def answered(self, text: str) -> None:
        self.csms.calls.receive(self.identity, self.callee, text)

    async def _answer(self, request: Call | CallError) -> None:
        csms = self.csms
        await trio.sleep(csms.random.uniform(*csms.latency))
        if self.gone:
            assert isinstance(request, Call)
            self.session.leave(request)
            return
        reply = conversation.answer(request, self.session, csms.now())
        lost = LOST_ANSWERS.get(request.action if isinstance(request, Call) else "", OTHER_LOST_ANSWERS)
        if csms.is_troubled and csms.random.random() < lost:
            csms.told["answers lost"] += 1
            await self.drop()
            return
        try:
            await self.transport.send(conversation.write(reply))
        except ConnectionLost:
            csms.told["answers lost"] += 1
            return
        if isinstance(reply, CallResult) and isinstance(request, Call) and request.action in HEARD:
            csms.drive.heard(self.identity, request)

    async def send(self, text: str) -> None:
        try:
            await self.transport.send(text)
        except ConnectionLost as error:
            raise LineLost from error

    def cut(self) -> None:
        self.csms.nursery.start_soon(self.drop)

    async def drop(self, code: int = 1006) -> None:
        """End the connection from the CSMS's side."""
        self.client.close_code = code
        self._end()
        await self.transport.abort()

    def _end(self) -> None:
        if not self.gone:
            self.gone = True
            self.csms.ended[self.number] = trio.current_time()
            if self.callee is not None:
                self.callee.end()
            if self.csms.open.get(self.identity) is self:
                del self.csms.open[self.identity]
                self.csms.drive.left(self.identity)


class EveningCsms:
    """The embedded CSMS without its sockets, an operator of it, and the network's troubles."""

    def __init__(self, nursery: trio.Nursery, plan: Plan, clock: Clock, authority: Held) -> None:
        assert plan.embedded is not None
        self.nursery = nursery
        self.clock = clock
        self.authority = authority
        self.central = Central(plan.embedded)
        self.central.on_csr = self._certify
        self.calls = Calls()
        self.drive = Drive(
            plan.embedded.calls,
            seed=plan.seed,
            known=self.central.charge_point,
            call=self.call,
            end=plan.duration,
            now=self.now,
        )
        self.latency = plan.embedded.latency
        self.random = random.Random(plan.seed)
        self.read: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.frames: list[Frame] = []
        self.open: dict[str, Connection] = {}
        self.ended: dict[int, float] = {}
        """When connections have ended, by their numbers."""
        self.is_down = False
        self.is_troubled = False
        self._connections = 0

    def now(self) -> datetime:
        """Return the time of day, as a CSMS with a right clock knows it."""
        return WALL + timedelta(seconds=self.clock.elapsed)

    # What a charge point asks of its way to the CSMS (link.transport.Connector).

    async def connect(self, nursery: trio.Nursery, request: ConnectRequest) -> Tap:
        await trio.sleep(0.05)
        if self.is_down:
            raise ConnectFailed("refused", "the CSMS is down")
        earlier = self.open.get(request.identity)
        if earlier is not None:  # it has not heard of the end of that one
            await earlier.drop()
        connection = Connection(self, request.identity, self._connections)
        self._connections += 1
        self.open[request.identity] = connection
        self.nursery.start_soon(connection.serve)
        self.drive.entered(request.identity)
        return connection.client

    def security_profile(self, request: ConnectRequest) -> int:
        return 1

    # What the CSMS does by itself.

    async def call(self, identity: str, action: str, payload: Mapping[str, Any], *, timeout: float = 30.0) -> Outcome:
        """Call a charge point, as `loadsim.csms.server.Server.call` does."""
        request = make_request(action, payload)
        connection = self.open.get(identity)
        if connection is None:
            return self.calls.not_connected(request)
        if connection.callee is None:
            connection.callee = self.calls.callee(identity, connection, legacy=False)
        return await connection.callee.call(request, timeout=timeout)

    def _certify(self, session: ChargePointSession, csr: str) -> bool:
        self.nursery.start_soon(self._send_certificate, session.identity, csr)
        return True

    async def _send_certificate(self, identity: str, csr: str) -> None:
        request = x509.load_pem_x509_csr(csr.encode())
        (common_name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        (organization,) = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        issued = self.authority.issue(
            str(common_name.value), organization=str(organization.value), key=request.public_key()
        )
        await trio.sleep(2.0)
        await self.call(identity, "CertificateSigned", {"certificateChain": issued.pem})

    async def replace_roots(self, identities: list[str], every: float) -> None:
        """Have one charge point after the other forget the roots that it says it has, and trust them anew."""
        use = {"certificateType": "CentralSystemRootCertificate"}
        for identity in identities:
            await trio.sleep(every)
            outcome = await self.call(identity, "GetInstalledCertificateIds", use)
            if not isinstance(outcome, Answered) or outcome.response.status != "Accepted":
                continue
            for data in outcome.response.certificate_hash_data:
                hashes = {
                    "hashAlgorithm": data.hash_algorithm,
                    "issuerNameHash": data.issuer_name_hash,
                    "issuerKeyHash": data.issuer_key_hash,
                    "serialNumber": data.serial_number,
                }
                await self.call(identity, "DeleteCertificate", {"certificateHashData": hashes})
            await self.call(identity, "InstallCertificate", {**use, "certificate": self.authority.pem})

    # What becomes of the network.

    async def break_connections(self, begin: float, end: float, every: float) -> None:
        """Drop a connection *every* so many seconds on average, and lose some answers, from *begin* to *end*."""
        await trio.sleep_until(self.clock.trio_time(begin))
        self.is_troubled = True
        while True:
            await trio.sleep(self.random.expovariate(1 / every))
            if self.clock.elapsed >= end:
                break
            if self.open:
                self.told["dropped"] += 1
                await self.open[self.random.choice(list(self.open))].drop(self.random.choice((1001, 1006, 1012)))
        self.is_troubled = False

    async def be_down(self, begin: float, seconds: float) -> None:
        """Be away for a while: all connections break, none comes about. What the CSMS knows it still knows after."""
        await trio.sleep_until(self.clock.trio_time(begin))
        self.is_down = True
        for connection in list(self.open.values()):
            self.told["cut off"] += 1
            await connection.drop()
        await trio.sleep(seconds)
        self.is_down = False
