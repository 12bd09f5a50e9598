"""What people ask of chargers, over API and command line; a long offline queue with the box killed
in the middle; and a whole site that comes back at once."""

import asyncio
import json
import time
import urllib.request

import websockets

from charger import utc_text
from site_harness import note, until

ORDERS = [
    ({"ask": "reset"}, "Reset"),
    ({"ask": "unlock"}, "UnlockConnector"),
    ({"ask": "availability", "operative": True}, "ChangeAvailability"),
    ({"ask": "start", "token": "TAG-1"}, "RemoteStartTransaction"),
    ({"ask": "stop", "transaction": 5}, "RemoteStopTransaction"),
    ({"ask": "read", "keys": ["HeartbeatInterval", "Nonsense"]}, "GetConfiguration"),
    ({"ask": "change", "key": "MeterValuesAlignedData", "value": ""}, "ChangeConfiguration"),
    ({"ask": "clear_cache"}, "ClearCache"),
    ({"ask": "trigger", "message": "heartbeat"}, "TriggerMessage"),
    ({"ask": "data", "vendor": "com.example", "data": "hello"}, "DataTransfer"),
    ({"ask": "list_version"}, "GetLocalListVersion"),
    ({"ask": "firmware", "location": "http://127.0.0.1/fw.bin"}, "UpdateFirmware"),
    ({"ask": "firmware", "location": "http://127.0.0.1/fw.bin", "signed": {
        "request": 1, "certificate": "-----BEGIN", "signature": "c2ln"}}, "SignedUpdateFirmware"),
    ({"ask": "upload", "file": "diagnostics", "location": "http://127.0.0.1/up"}, "GetDiagnostics"),
    ({"ask": "upload", "file": "log", "location": "http://127.0.0.1/up", "request": 2}, "GetLog"),
    ({"ask": "clear_profile", "id": 17}, "ClearChargingProfile"),
    ({"ask": "schedule", "duration_s": 60}, "GetCompositeSchedule"),
]


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(),
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=90) as answer:
        return json.loads(answer.read())


async def test_every_order_is_valid_and_its_answer_comes_back_in_words(site):
    """The harness validates every frame that a charger gets against the official schemas."""
    charger = site.chargers[0]
    await charger.connect()
    for body, action in ORDERS:
        began = time.monotonic()
        answer = await asyncio.to_thread(
            post, f"{site.daemon.web_url}/api/v1/remote", {"target": "EVSE-01", **body})
        asked = [frame for frame in charger.frames
                 if not frame.sent and began <= frame.at and frame.is_call(action)]
        assert len(asked) == 1, f"{action}: {answer}"
        assert answer["words"], answer
    words = await site.daemon.cli("remote", "get", "CP-01", "HeartbeatInterval")
    assert "HeartbeatInterval" in words, words
    await site.daemon.sees("charger.asked", "EVSE-01")


async def test_a_reservation_reaches_the_charger_and_is_listed(site):
    charger = site.chargers[0]
    await charger.connect()
    words = await site.daemon.cli("reserve", "EVSE-01", "--token", "TAG-9", "--minutes", "30")
    # This charger knows no ReserveNow, so the box keeps the EVSE itself.
    assert "Ampgate turns other tokens away" in words, words
    assert await charger.authorize("TAG-1") == "Invalid"
    assert await charger.authorize("TAG-9") == "Accepted"
    listed = await site.daemon.cli("reservations")
    assert "EVSE-01" in listed and "kept by Ampgate" in listed, listed
    await site.daemon.cli("cancel-reservation", "1")
    assert await charger.authorize("TAG-1") == "Accepted"


async def test_a_queue_of_500_is_taken_over_once_though_the_box_is_killed_in_the_middle(site):
    charger, sessions = site.chargers[4], 250
    await charger.connect()
    charger.cut()
    now = time.time()
    for number in range(sessions):
        begun = now - 86_400 + 300 * number
        charger.offline_session("TAG-OFF", begun, begun + 200, 1000 + number)
    began, total = time.monotonic(), len(charger.queue)
    await charger.connect(boot=False)
    delivery = asyncio.create_task(charger.deliver())
    await until(lambda: len(charger.queue) < total // 2, 60, "half is delivered", site.daemon)
    site.daemon.kill()
    charger.cut()
    delivery.cancel()
    await asyncio.gather(delivery, return_exceptions=True)
    left = len(charger.queue)
    assert 0 < left < total
    await site.daemon.start()
    await charger.reconnect()
    assert not charger.queue
    note(f"500 queued messages, killed with {left} sessions left: "
         f"{time.monotonic() - began:.1f} s in all")
    text = await site.daemon.cli("sessions", "--count", "1000", "--json")
    found = [one for one in json.loads(text)["sessions"] if one["evse"] == "EVSE-05"]
    assert len(found) == total, "each once"
    energies = sorted(round(one["energy_wh"]) for one in found)
    assert energies == [1000 + number for number in range(total)]
    starts = sorted(one["started"] for one in found)
    assert starts[0].startswith(utc_text(now - 86_400)[:16]), "their own times"


POINTS, QUEUED = 300, 11  # sessions of three messages each


def big_site(daemon):
    evses = "".join(
        f'\n[[evse]]\nid = "E{number:03d}"\nnode = "grid"\ncharge_point = "P{number:03d}"\n'
        f'phases = "L1L2L3"\nrated_a = 16\nsafe_a = 0\n' for number in range(POINTS))
    return (f'[site]\nname = "Depot"\ntime_zone = "Europe/Paris"\n\n[listen]\n'
            f'ocpp = "127.0.0.1:{daemon.ports["ocpp"]}"\nweb = "127.0.0.1:{daemon.ports["web"]}"\n'
            f'\n[access]\nanyone = true\n\n[[node]]\nid = "grid"\nrating_a = 1000\n'
            f'worst_case_load_a = 0\n' + evses)


async def point_returns(url, number, delay):
    """Comes back with its queue; returns how many of its messages were answered."""
    await asyncio.sleep(delay)
    answered = 0
    async with websockets.connect(f"{url}/P{number:03d}", subprotocols=["ocpp1.6"],
                                  ping_interval=None, compression=None,
                                  open_timeout=60) as socket:
        ids = iter(range(1, 1_000_000))

        async def ask(action, payload):
            nonlocal answered
            message = str(next(ids))
            await socket.send(json.dumps([2, message, action, payload]))
            while True:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 60))
                if frame[0] == 2:
                    await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
                elif frame[1] == message:
                    assert frame[0] == 3, frame
                    answered += 1
                    return frame[2]

        base = time.time() - 86_400
        await ask("StatusNotification", {
            "connectorId": 1, "errorCode": "NoError", "status": "Available"})
        for session in range(QUEUED):
            begun, meter = base + 3600 * session, 1000 * session
            answer = await ask("StartTransaction", {
                "connectorId": 1, "idTag": "T", "meterStart": meter, "timestamp": utc_text(begun)})
            await ask("MeterValues", {
                "connectorId": 1, "transactionId": answer["transactionId"], "meterValue": [{
                    "timestamp": utc_text(begun + 600), "sampledValue": [{"value": str(meter + 500)}],
                }]})
            await ask("StopTransaction", {
                "transactionId": answer["transactionId"], "meterStop": meter + 900,
                "timestamp": utc_text(begun + 1200), "reason": "Local"})
    return answered


async def test_300_charge_points_come_back_at_once_with_10_000_messages(idle):
    idle.daemon.config.write_text(big_site(idle.daemon))
    await idle.daemon.start()
    began = time.monotonic()
    url = idle.daemon.ocpp_url
    answered = await asyncio.gather(
        *(point_returns(url, number, 10 * number / POINTS) for number in range(POINTS)))
    took = time.monotonic() - began
    note(f"{POINTS} charge points within 10 s, {sum(answered)} messages answered in {took:.1f} s")
    assert sum(answered) == POINTS * (1 + 3 * QUEUED), "none lost"
    counts = await asyncio.to_thread(
        lambda: urllib.request.urlopen(f"{idle.daemon.web_url}/metrics", timeout=20).read().decode())
    line = [line for line in counts.splitlines() if "transactions" in line and line[0] != "#"]
    assert line and int(float(line[0].split()[-1])) == POINTS * QUEUED, line
