"""What people ask of chargers, over API and command line; and a long offline queue with the box
killed in the middle."""

import asyncio
import json
import time
import urllib.request

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


async def lists(site, *words):
    """Waits until `ampgate reservations` has these words; the view lags a little."""
    async def look():
        listed = await site.daemon.cli("reservations")
        return all(word in listed for word in words)
    await until(look, 10, f"a reservation {words}", site.daemon)


async def test_a_reservation_reaches_the_charger_and_is_listed(site):
    charger = site.chargers[0]
    await charger.connect()
    words = await site.daemon.cli("reserve", "EVSE-01", "--token", "TAG-9", "--minutes", "30")
    # This charger knows no ReserveNow, so the box keeps the EVSE itself.
    assert "Ampgate turns other tokens away" in words, words
    assert await charger.authorize("TAG-1") == "Invalid"
    assert await charger.authorize("TAG-9") == "Accepted"
    await lists(site, "EVSE-01", "kept by Ampgate")
    await site.daemon.cli("cancel-reservation", "1")
    assert await charger.authorize("TAG-1") == "Accepted"


async def test_a_queue_of_500_is_taken_over_once_though_the_box_is_killed_in_the_middle(site):
    charger, sessions = site.chargers[4], 500
    await charger.connect()
    charger.cut()
    now = time.time()
    for number in range(sessions):
        begun = now - 86_400 + 300 * number
        charger.offline_session("TAG-OFF", begun, begun + 200, 1000 + number)
    began, total = time.monotonic(), len(charger.queue)
    await charger.connect(boot=False)
    delivery = asyncio.create_task(charger.deliver())
    await until(lambda: len(charger.queue) < total // 2, 240, "half is delivered", site.daemon)
    site.daemon.kill()
    charger.cut()
    delivery.cancel()
    await asyncio.gather(delivery, return_exceptions=True)
    left = len(charger.queue)
    assert 0 < left < total
    await site.daemon.start()
    await charger.reconnect()
    assert not charger.queue
    note(f"{total} queued transactions, killed with {left} sessions left: "
         f"{time.monotonic() - began:.1f} s in all")
    text = await site.daemon.cli("sessions", "--count", "1000", "--json")
    found = [one for one in json.loads(text)["sessions"] if one["evse"] == "EVSE-05"]
    assert len(found) == total, "each once"
    energies = sorted(round(one["energy_wh"]) for one in found)
    assert energies == [1000 + number for number in range(total)]
    starts = sorted(one["started"] for one in found)
    assert starts[0].startswith(utc_text(now - 86_400)[:16]), "their own times"
