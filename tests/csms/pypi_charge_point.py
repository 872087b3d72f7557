"""A charge point of PyPI's `ocpp` over `websockets`, as a program, against the URL given; prints a report.

It shares no code with loadsim, and validates what it gets against the schemas. With a script beside the URL it sends
and answers what that says: `ocpp_rpc_charge_point.mjs` tells how.
"""

import asyncio
import json
import logging
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import websockets
from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from websockets.typing import Subprotocol

TIMEOUT = 10.0
PROTOCOLS = [Subprotocol("ocpp1.6")]


async def session(charge_point: Any) -> dict[str, Any]:
    boot = await charge_point.call(call.BootNotification(charge_point_model="AC22", charge_point_vendor="Acme"))
    heartbeat = await charge_point.call(call.Heartbeat())
    good = await charge_point.call(call.Authorize(id_tag="GOOD"))
    bad = await charge_point.call(call.Authorize(id_tag="BAD"))
    await charge_point.call(call.StatusNotification(connector_id=1, error_code="NoError", status="Preparing"))
    now = datetime.now(UTC).isoformat()
    start = await charge_point.call(
        call.StartTransaction(connector_id=1, id_tag="GOOD", meter_start=100, timestamp=now)
    )
    sample = {"timestamp": now, "sampled_value": [{"value": "150"}]}
    meter = call.MeterValues(connector_id=1, transaction_id=start.transaction_id, meter_value=[sample])
    await charge_point.call(meter)
    stop = await charge_point.call(
        call.StopTransaction(
            transaction_id=start.transaction_id, meter_stop=200, timestamp=now, id_tag="GOOD", reason="Local"
        )
    )
    return {
        "boot": [boot.status, boot.interval],
        "heartbeat": bool(datetime.fromisoformat(heartbeat.current_time)),
        "authorize": [good.id_tag_info["status"], bad.id_tag_info["status"]],
        "start": start.id_tag_info["status"],
        "transaction": start.transaction_id,
        "stop": stop.id_tag_info["status"],
    }


class Complaints(logging.Handler):
    """What the library complains of: every frame that its schemas refuse, every CALLERROR, every stray answer."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        reason = record.exc_info[1] if record.exc_info else ""
        self.texts.append(f"{record.getMessage()}: {reason!r}"[:500])


class Frames:
    """A connection of which all frames are kept."""

    def __init__(self, websocket: websockets.ClientConnection) -> None:
        self.websocket = websocket
        self.received: list[Any] = []
        self.sent: list[Any] = []

    async def recv(self) -> str:
        text = str(await self.websocket.recv())
        self.received.append(json.loads(text))
        return text

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))
        await self.websocket.send(text)


def made(answers: dict[str, Any], connection: Frames) -> Any:
    """Make a charge point that answers each action as *answers* say."""

    def handler(action: str, payload: dict[str, Any]) -> Any:
        result = getattr(call_result, action)

        def answer(_self: object, **_request: Any) -> Any:
            return result(**camel_to_snake_case(payload))

        answer.__name__ = f"on_{action}"  # by which the library looks for it
        return on(action)(answer)

    handlers = {f"on_{action}": handler(action, payload) for action, payload in answers.items()}
    return type("Answering", (ChargePoint,), handlers)("CP", connection, response_timeout=TIMEOUT)


async def say_odd_things(url: str, texts: list[str]) -> list[list[Any]]:
    """Send *texts* as they stand, one after the other, and return for each what comes within a moment."""
    async with websockets.connect(url, subprotocols=PROTOCOLS) as websocket:
        answers = []
        for text in texts:
            await websocket.send(text)
            try:
                answers.append(json.loads(await asyncio.wait_for(websocket.recv(), 0.5)))
            except TimeoutError:
                answers.append([])
        return answers


async def by_script(url: str, script: dict[str, Any]) -> dict[str, Any]:
    complaints = Complaints()
    logging.getLogger("ocpp").addHandler(complaints)
    logging.getLogger("ocpp").propagate = False
    odd = await say_odd_things(f"{url}-odd", script["odd"])
    async with websockets.connect(url, subprotocols=PROTOCOLS) as websocket:
        connection = Frames(websocket)
        charge_point = made(script["answers"], connection)
        reader = asyncio.create_task(charge_point.start())
        transaction = None
        for action, payload in script["calls"]:
            filled = {key: transaction if value == "$transaction" else value for key, value in payload.items()}
            response = await charge_point.call(getattr(call, action)(**camel_to_snake_case(filled)))
            transaction = getattr(response, "transaction_id", transaction)
        print(json.dumps({"ready": True}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        reader.cancel()
    return {"odd": odd, "complaints": complaints.texts, **told(connection)}


def told(connection: Frames) -> dict[str, Any]:
    asked = [frame[2:] for frame in connection.received if frame[0] == 2]
    return {
        "calls": Counter(frame[2] for frame in connection.sent if frame[0] == 2),
        "answers": [frame[2] for frame in connection.received if frame[0] == 3],
        "errors": [frame for frame in connection.received if frame[0] == 4],
        "asked": asked,
        "answered": sum(frame[0] == 3 for frame in connection.sent),
    }


async def main(url: str, script: str | None = None) -> None:
    if script is not None:
        print(json.dumps(await by_script(url, json.loads(Path(script).read_text(encoding="utf-8")))))  # noqa: ASYNC240
        return
    async with asyncio.timeout(TIMEOUT), websockets.connect(url, subprotocols=PROTOCOLS) as websocket:
        charge_point = ChargePoint("CP1", websocket, response_timeout=TIMEOUT)
        reader = asyncio.create_task(charge_point.start())
        report = {"subprotocol": websocket.subprotocol, **await session(charge_point)}
        reader.cancel()
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
