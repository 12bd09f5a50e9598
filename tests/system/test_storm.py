"""The power returns: 300 charge points come back within ten seconds, each with a queue."""

import asyncio
import json
import time

import websockets

from charger import seconds_of, utc_text
from site_harness import get, note

POINTS, SESSIONS = 300, 11  # sessions of three messages each, so 9,900 messages that must not be lost
WITHIN = 10.0  # s


def big_site(daemon):
    evses = "".join(
        f'\n[[evse]]\nid = "E{number:03d}"\nnode = "grid"\ncharge_point = "P{number:03d}"\n'
        f'phases = "L1L2L3"\nrated_a = 16\nsafe_a = 0\n' for number in range(POINTS))
    return (f'[site]\nname = "Depot"\ntime_zone = "Europe/Paris"\n\n[listen]\n'
            f'ocpp = "127.0.0.1:{daemon.ports["ocpp"]}"\nweb = "127.0.0.1:{daemon.ports["web"]}"\n'
            f'\n[access]\nanyone = true\n\n[[node]]\nid = "grid"\nrating_a = 1000\n'
            f'worst_case_load_a = 0\n' + evses)


class Point:
    """A charge point with a queue. A message leaves the queue when it was answered; where the line
    breaks before that, it comes back and sends the same message again, as the standard has it."""

    def __init__(self, url, number, base):
        self.url, self.begins = f"{url}/P{number:03d}", base + number
        self.answered = self.returned = 0
        self.transaction = None
        self.messages = self.queue()

    def queue(self):
        """Action and payload of each message, in order; `ask` fills the transaction in."""
        yield "StatusNotification", {
            "connectorId": 1, "errorCode": "NoError", "status": "Available"}
        for session in range(SESSIONS):
            begun, meter = self.begins + 3600 * session, 1000 * session
            yield "StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": meter,
                                       "timestamp": utc_text(begun)}
            yield "MeterValues", {"connectorId": 1, "transactionId": None, "meterValue": [{
                "timestamp": utc_text(begun + 600), "sampledValue": [{"value": str(meter + 500)}]}]}
            yield "StopTransaction", {"transactionId": None, "meterStop": meter + 900 + session,
                                      "timestamp": utc_text(begun + 1200), "reason": "Local"}

    async def come_back(self, delay):
        await asyncio.sleep(delay)
        open_message = next(self.messages)
        while open_message:
            try:
                async with websockets.connect(
                        self.url, subprotocols=["ocpp1.6"], ping_interval=None, compression=None,
                        open_timeout=60) as socket:
                    while open_message:
                        await self.ask(socket, *open_message)
                        open_message = next(self.messages, None)
            except (OSError, TimeoutError, websockets.WebSocketException):
                self.returned += 1
                assert self.returned < 20, f"{self.url} cannot get through"
                await asyncio.sleep(1)

    async def ask(self, socket, action, payload):
        if "transactionId" in payload:
            payload["transactionId"] = self.transaction
        message = f"{action}-{self.answered}"
        await socket.send(json.dumps([2, message, action, payload]))
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 90))
            if frame[0] == 2:
                await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            elif frame[1] == message:
                assert frame[0] == 3, frame
                self.answered += 1
                if action == "StartTransaction":
                    self.transaction = frame[2]["transactionId"]
                return


async def test_300_charge_points_come_back_at_once_with_10_000_messages(idle):
    idle.daemon.config.write_text(big_site(idle.daemon))
    await idle.daemon.start()
    base = float(int(time.time()) - 86_400)
    points = [Point(idle.daemon.ocpp_url, number, base) for number in range(POINTS)]
    began = time.monotonic()
    await asyncio.gather(
        *(point.come_back(WITHIN * number / POINTS) for number, point in enumerate(points)))
    took = time.monotonic() - began
    answered = sum(point.answered for point in points)
    note(f"{POINTS} charge points within {WITHIN:.0f} s: {answered} messages answered in "
         f"{took:.1f} s, {sum(point.returned for point in points)} connected again")
    assert answered == POINTS * (1 + 3 * SESSIONS), "none lost"
    kept = await everything(idle.daemon)
    expected = sorted((f"E{number:03d}", base + number + 3600 * session, 900 + session)
                      for number in range(POINTS) for session in range(SESSIONS))
    assert kept == expected, "each once, with its own time and energy"


async def everything(daemon):
    """EVSE, start and energy of each session, sorted."""
    kept = []
    while True:
        code, text = await asyncio.to_thread(
            get, f"{daemon.web_url}/api/v1/sessions?skip={len(kept)}&count=1000")
        assert code == 200, text
        page = json.loads(text)["sessions"]
        kept += page
        if len(page) < 1000:
            break
    return sorted((one["evse"], seconds_of(one["started"]), round(one["energy_wh"]))
                  for one in kept)
