"""Asks charge points by a script: one call after the other, each with what must have come of it before the next.

The script is a file of JSON that the peer is given with `--ask-all`; `ocpp_rpc_asking.mjs` reads the same:

- `scripts`: steps by the first letters of the identities that are asked so. A step may `send` an action `with` a
  payload, and wait `until` the charge point has sent, since then, another with at least the given values: an
  action and a payload. With `ever` it may have sent it at any time since it was first accepted.
- `pending`: the first boot of identities with these first letters is answered Pending; their script begins then.
- `remote_start`: every connector that is Preparing gets a RemoteStartTransaction, at identities with these letters.
- `sign_at`: a url that signs what stands behind its question mark.
- `patience`: how long a step may wait, in seconds.

Texts in a payload stand for something that is only known by then: `$transaction N` for the transaction that was last
started at connector N, `$now N` for the moment in N seconds, `$certificate` for the one that was asked for last,
signed, `$installed` for what identifies the first certificate of the last answer to GetInstalledCertificateIds.
"""

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .serving import Record, now_text

Payload = dict[str, Any]
Ask = Callable[[str, str, Payload], Coroutine[object, object, tuple[str, Payload]]]
"""Sends an action with a payload to a charge point, by its identity; gives the outcome and the whole answer."""

CLOSED = "connection closed"


@dataclass(frozen=True, slots=True)
class Plan:
    """The file."""

    scripts: dict[str, list[Payload]] = field(default_factory=dict)
    pending: str | None = None
    remote_start: str | None = None
    remote_tag: str = "REMOTE0001"
    sign_at: str = ""
    patience: float = 20.0

    @classmethod
    def read(cls, path: str) -> "Plan":
        return cls(**json.loads(Path(path).read_text(encoding="utf-8"))) if path else cls()

    def steps(self, identity: str) -> list[Payload] | None:
        return next((steps for prefix, steps in self.scripts.items() if identity.startswith(prefix)), None)


class Asked:
    """One charge point that is asked, and what it has sent meanwhile; it outlives its connections."""

    def __init__(self, identity: str, plan: Plan) -> None:
        self.identity = identity
        self.plan = plan
        self.steps = plan.steps(identity) or []
        self.answers: list[tuple[str, str, Payload]] = []
        self.transactions: dict[int, int] = {}  # by connector
        self.missed: str | None = None
        self.finished = False
        self._heard: list[tuple[str, Payload]] = []
        self._news = asyncio.Event()
        self._certificate_request = ""
        self._installed: Payload = {}

    def hear(self, action: str, payload: Payload) -> None:
        """Take in a call of the charge point that has been answered."""
        self._heard.append((action, payload))
        if action == "SignCertificate":
            self._certificate_request = payload["csr"]
        self._news.set()

    async def run(self, ask: Ask) -> None:
        for number, step in enumerate(self.steps):
            mark = 0 if step.get("ever") else len(self._heard)
            if "send" in step:
                payload = await self._filled(step.get("with", {}))
                outcome, answer = await ask(self.identity, step["send"], payload)
                self.answers.append((step["send"], outcome, answer))
                if "certificateHashData" in answer:
                    self._installed = answer["certificateHashData"][0]
                if outcome == CLOSED:
                    self.missed = f"step {number}, {step}: {CLOSED}"
                    return
            if "until" in step and not await self._until(mark, *step["until"]):
                self.missed = f"step {number}, {step}: since then only {self._heard[mark:]}"
                return
        self.finished = True

    async def _until(self, mark: int, action: str, values: Payload) -> bool:
        def came() -> bool:
            return any(
                name == action and all(payload.get(key) == value for key, value in values.items())
                for name, payload in self._heard[mark:]
            )

        try:
            async with asyncio.timeout(self.plan.patience):
                while not came():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: await self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [await self._filled(item) for item in value]
        match value.split(" ") if isinstance(value, str) and value.startswith("$") else []:
            case ["$transaction", connector]:
                return self.transactions[int(connector)]
            case ["$now", seconds]:
                return now_text(float(seconds))
            case ["$certificate"]:
                url = f"{self.plan.sign_at}?{urllib.parse.quote(self._certificate_request, safe='')}"
                return await asyncio.to_thread(_get, url)
            case ["$installed"]:
                return self._installed
        return value


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 -- the test's own server
        text: str = answer.read().decode()
    return text


class Asker:
    """Everybody who is asked."""

    def __init__(self, plan: Plan, ask: Ask, fail: Callable[[str], None]) -> None:
        self.plan = plan
        self.asked: dict[str, Asked] = {}
        self._ask = ask
        self._fail = fail
        self._tasks: set[asyncio.Task[object]] = set()

    def is_put_off(self, identity: str) -> bool:
        """Tell whether the boot that this one sends now is to be answered Pending."""
        pending = self.plan.pending
        return pending is not None and identity.startswith(pending) and identity not in self.asked

    def booted(self, identity: str) -> None:
        """Begin to ask, if nobody has yet."""
        if self.plan.steps(identity) is not None and identity not in self.asked:
            asked = self.asked[identity] = Asked(identity, self.plan)
            self._spawn(asked.run(self._ask))

    def hear(self, identity: str, action: str, payload: Payload) -> None:
        if identity in self.asked:
            self.asked[identity].hear(action, payload)
        prefix = self.plan.remote_start
        preparing = action == "StatusNotification" and payload.get("status") == "Preparing"
        if preparing and prefix is not None and identity.startswith(prefix):
            tag = {"idTag": self.plan.remote_tag, "connectorId": payload["connectorId"]}
            self._spawn(self._ask(identity, "RemoteStartTransaction", tag))

    def started(self, identity: str, connector: int, transaction: int) -> None:
        if identity in self.asked:
            self.asked[identity].transactions[connector] = transaction

    def record(self) -> Record:
        return {
            "answers": {identity: asked.answers for identity, asked in self.asked.items()},
            "missed": {identity: asked.missed for identity, asked in self.asked.items() if asked.missed},
            "finished": sorted(identity for identity, asked in self.asked.items() if asked.finished),
        }

    def _spawn(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(f"asking: {error!r}")
