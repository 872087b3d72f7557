"""A CSMS that breaks the rules: at the opening handshake, or in its answers to a share of the charge points.

`python -m tests.peers.hostile_server --behaviour http-503 --until 3`
`python -m tests.peers.hostile_server --answers wrong-id --share-suffix 7`
"""

import argparse
import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from .framing import BINARY, SUBPROTOCOL, TEXT, Connection, Request, Tally, frame, http_answer
from .serving import (
    BACKLOG,
    HOST,
    Record,
    announce,
    now_text,
    options,
    raise_descriptor_limit,
    report,
    until_the_parent_ends_it,
)

BEHAVIOURS = (
    "accept",
    "http-401",
    "http-404",
    "http-503",
    "close-at-once",
    "no-subprotocol",
    "silent",
    "silent-after-open",
    "garbage-handshake",
)
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x28SSH-2.0-nonsense\r\n\r\n"
FLOOD: tuple[tuple[str, dict[str, object]], ...] = (
    ("GetConfiguration", {}),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "not a number"}),
    ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
    ("RemoteStopTransaction", {"transactionId": -1}),
    ("UnlockConnector", {"connectorId": 99}),
    ("ChangeAvailability", {"connectorId": 99, "type": "Sideways"}),
    ("NoSuchAction", {"surplus": [None]}),
    ("ClearCache", {"surplus": True}),
)
AGAINST_THE_SCHEMA: dict[str, object] = {
    "BootNotification": {"status": "Perhaps", "currentTime": 5, "interval": "soon"},
    "Heartbeat": {"currentTime": 5},
    "Authorize": {"idTagInfo": {"status": "Perhaps"}},
    "StartTransaction": {"transactionId": "one", "idTagInfo": {"status": "Accepted"}},
}


class Hostile:
    """The server's state: how it misbehaves, to whom, and the record."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.tally = Tally()
        self.draws = random.Random(chosen.seed)
        self.kind, _, argument = str(chosen.answers).partition(":")
        self.argument = float(argument) if argument else None
        self.handshakes: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.answers: dict[str, Counter[str]] = {}  # kind -> action -> how many
        self.replies: Counter[str] = Counter()  # of the charge points, to the flood
        self.booted: set[str] = set()
        self.calls_sent = 0
        self.transactions = 0
        self._turn = 0
        self._began: float | None = None

    def connected(self) -> None:
        if self._began is None:
            self._began = asyncio.get_running_loop().time()

    def is_over(self) -> bool:
        until = self.chosen.until
        return (
            until is not None and self._began is not None and asyncio.get_running_loop().time() - self._began >= until
        )

    def is_hostile_to(self, identity: str) -> bool:
        return identity.endswith(self.chosen.share_suffix) and not self.is_over()

    def kind_for(self, identity: str, action: str) -> str:
        if (
            self.kind == "good"
            or not self.is_hostile_to(identity)
            or (action == "BootNotification" and not self.chosen.also_boot)
        ):
            return "good"
        if self.kind != "mixed":
            return self.kind
        self._turn += 1
        return MIXED[self._turn % len(MIXED)]

    def number(self, default: float) -> float:
        return default if self.argument is None else self.argument

    def count(self, kind: str, action: str) -> None:
        self.answers.setdefault(kind, Counter())[action] += 1

    def record(self) -> Record:
        return {
            "peer": "hostile_server",
            "behaviour": self.chosen.behaviour,
            "answers_kind": self.chosen.answers,
            "booted": len(self.booted),
            **self.tally.record(),
            "handshakes": dict(self.handshakes),
            "received": dict(self.received),
            "refused": dict(self.refused),
            "answers": {kind: dict(actions) for kind, actions in self.answers.items()},
            "calls_sent": self.calls_sent,
            "replies": dict(self.replies),
        }


class ChargePoint(Connection):
    """One charge point, treated well or badly."""

    def __init__(self, hostile: Hostile) -> None:
        super().__init__(hostile.tally)
        self.hostile = hostile
        self._deaf = False
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.hostile.connected()

    def data_received(self, data: bytes) -> None:
        if not self._deaf:
            super().data_received(data)

    def on_end(self) -> None:
        for timer in self._timers:
            timer.cancel()

    # The handshake

    def answer_request(self, request: Request) -> None:
        behaviour: str = self.hostile.chosen.behaviour
        if not self.hostile.is_hostile_to(request.identity):
            behaviour = "accept"
        self.hostile.handshakes[behaviour] += 1
        match behaviour:
            case "accept":
                super().answer_request(request)
            case "close-at-once":
                self.turn_away()
            case "garbage-handshake":
                self.turn_away(GARBAGE)
            case "silent":
                self._deaf = True
            case "no-subprotocol" if request.is_upgrade:
                self.accept(request, None)
            case "silent-after-open" if request.is_upgrade:
                self.accept(request, SUBPROTOCOL if SUBPROTOCOL in request.subprotocols else None)
                self._deaf = True
            case _:
                status = behaviour.removeprefix("http-")
                self.turn_away(http_answer(int(status) if status.isdigit() else 400))

    # The answers

    def on_text(self, payload: bytes, at: float) -> None:
        try:
            message = json.loads(payload)
        except ValueError:
            self.tally.violations["not JSON"] += 1
            return
        match message:
            case [2, str(call), str(action), dict(body)]:
                self._answer(call, action, body)
            case [3, str(), dict()]:
                self.hostile.replies["result"] += 1
            case [4, str(), str(code), *_]:
                self.hostile.replies[code] += 1
            case _:
                self.tally.violations["no frame of OCPP-J"] += 1

    def _answer(self, call: str, action: str, body: dict[str, Any]) -> None:
        hostile = self.hostile
        hostile.received[action] += 1
        kind = hostile.kind_for(self.identity, action)
        hostile.count(kind, action)
        good = self._good(action, body)
        KINDS[kind](self, call, action, good)
        if action == "BootNotification" and good["status"] == "Accepted":
            hostile.booted.add(self.identity)

    def _good(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        hostile = self.hostile
        blocked = str(body.get("idTag", "")).startswith("BLK")
        tag = {"idTagInfo": {"status": "Blocked" if blocked else "Accepted"}}
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": now_text(), "interval": hostile.chosen.interval}
            case "Heartbeat":
                return {"currentTime": now_text()}
            case "Authorize":
                hostile.refused[action] += blocked
                return tag
            case "StartTransaction":
                hostile.transactions += 1
                hostile.refused[action] += blocked
                return {"transactionId": hostile.transactions, **tag}
            case "DataTransfer":
                return {"status": "UnknownVendorId"}
        return {}

    def result(self, call: str, payload: object) -> None:
        self.send_text(_result(call, payload))

    def send_later(self, seconds: float, text: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, self.send_text, text))

    def flood(self) -> None:
        """Send CALLs without awaiting an answer to any (against OCPP-J 1.6, section 4.1.1)."""
        for _ in range(int(self.hostile.number(200))):
            self.hostile.calls_sent += 1
            number = self.hostile.calls_sent
            action, payload = FLOOD[number % len(FLOOD)]
            if not self.send_text(json.dumps([2, f"flood-{number}", action, payload]).encode()):
                return


Answer = Callable[[ChargePoint, str, str, dict[str, Any]], object]


def _result(call: str, payload: object) -> bytes:
    return json.dumps([3, call, payload]).encode()


def _text(text: bytes) -> Answer:
    return lambda point, _call, _action, _good: point.send_text(text)


def _twice(point: ChargePoint, call: str, _action: str, good: dict[str, Any]) -> None:
    point.result(call, good)
    point.result(call, good)


def _late(point: ChargePoint, call: str, _action: str, good: dict[str, Any]) -> None:
    point.send_later(point.hostile.number(5.0), _result(call, good))


def _binary(point: ChargePoint, call: str, _action: str, good: dict[str, Any]) -> None:
    point.raw(frame(BINARY, _result(call, good)))


def _huge(point: ChargePoint, call: str, _action: str, good: dict[str, Any]) -> None:
    point.result(call, {**good, "padding": "x" * int(point.hostile.number(2_000_000))})


def _deep(point: ChargePoint, call: str, _action: str, _good: dict[str, Any]) -> None:
    levels = int(point.hostile.number(20_000))
    point.send_text(b'[3,"%s",%s{}%s]' % (call.encode(), b'{"a":' * levels, b"}" * levels))


def _call_error(code: str) -> Answer:
    def answer(point: ChargePoint, call: str, _action: str, _good: dict[str, Any]) -> None:
        point.send_text(json.dumps([4, call, code, "As it was asked to.", {}]).encode())

    return answer


def _invalid_utf8(point: ChargePoint, call: str, _action: str, good: dict[str, Any]) -> None:
    point.raw(frame(TEXT, _result(call, {**good, "padding": "?"}).replace(b"?", b"\xc3\x28\xff")))


def _random_close(point: ChargePoint, call: str, _action: str, good: dict[str, Any]) -> None:
    if point.hostile.draws.random() < point.hostile.number(0.3):
        point.hang_up()
    else:
        point.result(call, good)


def _unsolicited(point: ChargePoint, call: str, _action: str, good: dict[str, Any]) -> None:
    point.flood()
    point.result(call, good)


KINDS: dict[str, Answer] = {
    "good": lambda point, call, _action, good: point.result(call, good),
    "no-json": _text(b"this is not JSON"),
    "not-array": _text(b'{"status":"Accepted"}'),
    "short": lambda point, call, _action, _good: point.send_text(json.dumps([3, call]).encode()),
    "empty-array": _text(b"[]"),
    "empty-text": _text(b""),
    "unknown-type": lambda point, call, _action, good: point.send_text(json.dumps([9, call, good]).encode()),
    "wrong-id": lambda point, call, _action, good: point.result(f"wrong-{call}"[:36], good),
    "twice": _twice,
    "late": _late,
    "schema": lambda point, call, action, _good: point.result(
        call, AGAINST_THE_SCHEMA.get(action, {"surplus": True})
    ),
    "null-payload": lambda point, call, _action, _good: point.result(call, None),
    "binary": _binary,
    "huge": _huge,
    "deep": _deep,
    "callerror": _call_error("InternalError"),
    "callerror-later-spelling": _call_error("OccurrenceConstraintViolation"),
    "invalid-utf8": _invalid_utf8,
    "random-close": _random_close,
    "unsolicited": _unsolicited,
}
MIXED = tuple(kind for kind in KINDS if kind not in ("late", "unsolicited", "random-close"))


async def serve(chosen: argparse.Namespace) -> None:
    hostile = Hostile(chosen)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ChargePoint(hostile), HOST, chosen.port, backlog=BACKLOG)
    announce(server)
    await until_the_parent_ends_it(chosen.lifetime)
    server.close()
    report(hostile.record())


def main() -> None:
    parser = options("A CSMS that breaks the rules.")
    parser.add_argument("--behaviour", choices=BEHAVIOURS, default="accept", help="at the handshake")
    parser.add_argument("--answers", default="good", help=f"{', '.join(KINDS)} or mixed; some take :NUMBER")
    parser.add_argument("--share-suffix", default="", help="only identities that end so are treated badly")
    parser.add_argument("--also-boot", action="store_true", help="boots get bad answers too")
    parser.add_argument("--until", type=float, help="seconds after the first connection; then it behaves")
    parser.add_argument("--interval", type=int, default=300, help="seconds, of the boot's answer")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    kind, _, argument = chosen.answers.partition(":")
    try:
        float(argument or 0)
    except ValueError:
        parser.error(f"--answers {chosen.answers}: a number expected after the colon")
    if kind not in KINDS and kind != "mixed":
        parser.error(f"--answers {kind}: one of {', '.join(KINDS)} or mixed expected")
    raise_descriptor_limit()
    asyncio.run(serve(chosen))


if __name__ == "__main__":
    main()
