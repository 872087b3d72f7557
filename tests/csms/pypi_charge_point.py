"""A charge point of PyPI's `ocpp` over `websockets`, as a program: a session against the URL given; prints a report.

It shares no code with loadsim, and validates what it gets against the schemas.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.v16 import ChargePoint, call
from websockets.typing import Subprotocol

TIMEOUT = 10.0


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


async def main(url: str) -> None:
    async with asyncio.timeout(TIMEOUT), websockets.connect(url, subprotocols=[Subprotocol("ocpp1.6")]) as websocket:
        charge_point = ChargePoint("CP1", websocket, response_timeout=TIMEOUT)
        reader = asyncio.create_task(charge_point.start())
        report = {"subprotocol": websocket.subprotocol, **await session(charge_point)}
        reader.cancel()
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
