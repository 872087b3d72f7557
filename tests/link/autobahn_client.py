"""The Autobahn suite itself against our framing: an echoing client of its fuzzing server, over a blocking socket.

Not a part of the test suite, for the Autobahn suite (PyPI `autobahntestsuite`) needs Python 2.7; `autobahn_cases.py`
has what can be told of its cases without it. Start its server with this in `fuzzing.json`, then the client:

    {"url": "ws://127.0.0.1:9001", "outdir": "reports", "cases": ["*"], "exclude-cases": ["12.*", "13.*"],
     "exclude-agent-cases": {}}

    wstest -m fuzzingserver -s fuzzing.json
    python -m tests.link.autobahn_client ws://127.0.0.1:9001

Cases 12 and 13 are left out: they are about compression, which nobody offers here. It ends with 1 if a case failed.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import urllib.parse
from collections import Counter, defaultdict
from typing import Any

from loadsim.link.frames import PONG, client_frames, close_frame, control_frame
from loadsim.link.framing import Close, Incoming, Ping, Pong, ProtocolError
from loadsim.link.opening import Opened, Opening, request_target

AGENT = "loadsim"
PASSED = {"OK", "INFORMATIONAL"}
LARGEST = 1 << 24  # of cases 9.1.6 and 9.2.6
RECEIVE = 1 << 16
PATIENCE = 120.0  # seconds


class Client:
    """One connection to the fuzzing server."""

    def __init__(self, url: str, resource: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), PATIENCE)
        opening = Opening(parts.netloc, request_target(resource))
        self._socket.sendall(opening.request)
        opened: Opened | None = None
        while opened is None:
            opened = opening.feed(self._socket.recv(RECEIVE))
        self._incoming = Incoming(LARGEST)
        self._first = opened.rest

    def texts(self, *, echo: bool) -> list[str]:
        """Talk until the end, and return the texts that came."""
        texts = []
        with self._socket:
            data = self._first or self._receive()
            while data:
                try:
                    messages, failure = self._incoming.feed(data), None
                except ProtocolError as violation:
                    messages, failure = violation.before, violation
                for message in messages:
                    if isinstance(message, str):
                        texts.append(message)
                    self._answer(message, echo=echo)
                if failure is not None:
                    self._send(close_frame(failure.code, failure.reason))
                    with contextlib.suppress(OSError):
                        self._socket.shutdown(socket.SHUT_WR)
                data = self._receive()
        return texts

    def _answer(self, message: str | bytes | Ping | Pong | Close, *, echo: bool) -> None:
        match message:
            case Ping(payload):
                self._send(control_frame(PONG, payload))
            case Close(code):
                self._send(close_frame(code))
            case str() | bytes() if echo:
                for piece in client_frames(message):
                    self._send(piece)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a server that hung up judges it
            self._socket.sendall(data)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(RECEIVE)
        except ConnectionResetError:
            return b""


def ask(url: str, resource: str) -> Any:
    (text,) = Client(url, resource).texts(echo=False)
    return json.loads(text)


def main(url: str) -> int:
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for case in range(1, ask(url, "/getCaseCount") + 1):
        name = ask(url, f"/getCaseInfo?case={case}")["id"]
        Client(url, f"/runCase?case={case}&agent={AGENT}").texts(echo=True)
        verdict = ask(url, f"/getCaseStatus?case={case}&agent={AGENT}")["behavior"]
        verdicts[".".join(name.split(".")[:2])][verdict] += 1
        if verdict not in PASSED:
            print(f"{name}: {verdict}", flush=True)
    Client(url, f"/updateReports?agent={AGENT}").texts(echo=False)
    for group, counts in verdicts.items():
        print(f"{group:>5} {dict(counts)}")
    return 0 if all(verdict in PASSED for counts in verdicts.values() for verdict in counts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
