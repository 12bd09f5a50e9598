"""A charger's ordinary day: boot, authorise, start, meter values, stop; and orderly ends."""

import asyncio
import time

from charger import PATIENCE
from site_harness import configuration, get, note, until


async def test_first_charger_is_accepted_soon_after_the_start(idle):
    began = time.monotonic()
    await idle.start()
    charger = idle.chargers[0]
    await charger.connect(boot=False)
    answer = await charger.boot()
    note(f"first charger accepted {time.monotonic() - began:.2f} s after the start")
    assert answer.status == "Accepted"
    assert answer.current_time.endswith("Z")
    assert 0 < answer.interval <= 300
    await idle.daemon.sees("charger.booted", "CP-01")


async def test_a_session_from_plug_in_to_plug_out(site):
    charger = site.chargers[4]
    await site.connect_all()  # a charger that was never heard counts with its rating
    assert await charger.authorize("TAG-7") == "Accepted"
    assert await charger.plug_in("TAG-7") == "Accepted"
    assert 0 < charger.transaction.id < 2**31
    await until(lambda: charger.tx_profiles(), 15, "a live limit is sent", site.daemon)
    await until(lambda: charger.current() == 32.0, 30, "a lone car gets all", site.daemon)
    before = charger.energy()
    await asyncio.sleep(3)
    transaction, stop = await charger.unplug()
    assert before < charger.energy()
    energy_kwh = (stop - transaction.meter_start) / 1000
    sessions = await site.daemon.sessions()
    print(sessions, f"{energy_kwh} kWh by the charger")
    lines = [line for line in sessions.splitlines() if "EVSE-05" in line]
    assert len(lines) == 1


async def test_unknown_tokens_are_refused_and_known_ones_are_not(idle):
    access = 'tokens = ["CARD-1", "CARD-2"]'
    idle.daemon.config.write_text(configuration(idle.daemon.ports, access=access))
    await idle.start()
    charger = idle.chargers[0]
    await charger.connect()
    assert await charger.authorize("CARD-1") == "Accepted"
    assert await charger.authorize("card-2") == "Accepted", "idTags have no case"
    assert await charger.authorize("CARD-3") in ("Invalid", "Blocked")
    assert await charger.plug_in("CARD-3") in ("Invalid", "Blocked")
    assert await charger.plug_in("CARD-1") == "Accepted"
    await idle.daemon.sees("token.refused", "EVSE-01")


async def test_the_daemon_ends_in_order_and_quickly(site):
    await site.all_charge()
    code, seconds = await site.daemon.stop()
    note(f"SIGTERM to the end: {seconds:.2f} s")
    assert code == 0, site.daemon.log_tail()
    assert seconds < 5 * PATIENCE


async def test_the_web_listener_answers(site):
    assert get(f"{site.daemon.web_url}/healthz")[0] == 200
    assert get(f"{site.daemon.web_url}/nothing/here")[0] == 404
    status, page = get(f"{site.daemon.web_url}/")
    assert status == 200 and "Test yard" in page
    assert all(f"EVSE-{number:02d}" in page for number in range(1, 13))


async def test_status_and_explain_tell_of_the_whole_site(site):
    await site.connect_all()
    status = await site.daemon.cli("status")
    print(status)
    assert "Test yard" in status and "Grid 80A" in status and "12 points" in status
    every = await site.daemon.cli("explain")
    assert all(f"EVSE-{number:02d}" in every for number in range(1, 13))
    one = await site.daemon.cli("explain", "EVSE-09")
    print(one)
    assert "CP-09" in one and "why: " in one
