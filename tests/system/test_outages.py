"""Links, the daemon and the network fail; sessions, transactions and leases go on."""

import asyncio
import time

from site_harness import GRACE, RATING, SAFE, TTL, note, until


def lines_of(text, *words):
    return [line for line in text.splitlines() if all(word in line for word in words)]


async def test_a_session_outlives_its_link(site):
    await site.all_charge()
    gone = site.chargers[8]
    transaction, limit = gone.transaction.id, gone.limit()
    gone.cut()
    cut = time.monotonic()
    await site.daemon.sees("link.down", "CP-09")
    await asyncio.sleep(5)
    await gone.reconnect()
    await until(lambda: gone.tx_profiles(cut), 30, "the limit is sent again", site.daemon)
    note(f"sent again {gone.tx_profiles(cut)[0][0] - cut - 5:.1f} s after the return")
    profile = [frame for frame in gone.frames if not frame.sent and cut <= frame.at
               and frame.is_call("SetChargingProfile")][-1].parts[3]["csChargingProfiles"]
    assert profile["transactionId"] == transaction
    assert abs(gone.limit() - limit) < 6
    sessions = await site.daemon.sessions()
    assert len(lines_of(sessions, "EVSE-09")) == 1, sessions
    await gone.unplug()


async def test_a_lost_charger_keeps_its_room_until_its_lease_has_run_out(site):
    """Nobody hears whether it still draws, so nobody else gets its room before it must have fallen.
    """
    few = [site.chargers[number] for number in (8, 9, 10)]
    await site.connect_all()
    for charger in few:
        await charger.plug_in("TAG")
    await site.settled()
    held = few[0].limit()
    assert SAFE + 10 < held
    few[0].cut()
    cut = time.monotonic()
    await asyncio.sleep(15)
    # The auditor counts the lost charger's own view of its limit all the time.
    others = few[1].limit()
    await until(lambda: others + 1 < few[1].limit(), TTL + GRACE + 60,
                "others get the room of the lost charger", site.daemon)
    waited = time.monotonic() - cut
    assert waited < TTL + GRACE + 40  # a fall of the load is believed late, limits rise slowly
    note(f"lost at {held} A; its room was given to others after {waited:.0f} s")
    assert abs(few[0].limit() - SAFE) < 0.05, "the charger fell by itself"
    await site.daemon.explains("EVSE-09", "not reachable")
    assert not site.overloads


async def test_offline_transactions_are_taken_over_exactly_once(site):
    charger = site.chargers[4]
    await charger.connect()
    charger.cut()
    now = time.time()
    charger.offline_session("TAG-OFF", now - 7200, now - 3600, 5000)
    charger.offline_session("TAG-OFF", now - 3000, now - 600, 7000)
    kept = list(charger.queue)
    await charger.reconnect()
    given = await charger.deliver() or given_ids(charger)
    charger.queue = list(kept)  # a retry after a lost answer: all of it again
    await charger.reconnect()
    again = given_ids(charger)[len(given):]
    assert given == again, "the same starts get the same transaction ids"
    assert len(set(given)) == 2
    sessions = await site.daemon.sessions()
    print(sessions)
    assert len(lines_of(sessions, "EVSE-05")) == 2, "each once"
    assert len(lines_of(sessions, "EVSE-05", "5.0")) == 1
    assert len(lines_of(sessions, "EVSE-05", "7.0")) == 1
    await site.daemon.sees("session.replayed", "EVSE-05")
    assert not charger.tx_profiles(), "no limit for what is over"


def given_ids(charger):
    """Transaction ids in the answers to StartTransaction, in order."""
    asked = {frame.parts[1] for frame in charger.frames
             if frame.sent and frame.is_call("StartTransaction")}
    answers = [frame.parts for frame in charger.frames if not frame.sent]
    return [parts[2]["transactionId"] for parts in answers if parts[0] == 3 and parts[1] in asked]


async def test_killed_in_the_middle_of_sessions_nothing_is_lost(site):
    await site.all_charge()
    limits = {charger.identity: charger.limit() for charger in site.chargers}
    ids = {charger.identity: charger.transaction.id for charger in site.chargers}
    site.daemon.kill()
    killed = time.monotonic()
    for charger in site.chargers:
        charger.cut()
    await asyncio.sleep(1)
    took = await site.daemon.start()
    for charger in site.chargers:
        await charger.reconnect()
    back = time.monotonic()
    raised = []

    def renewed():
        for charger in site.chargers:
            for at, live, _ in charger.tx_profiles(killed)[:1]:
                if limits[charger.identity] + 0.05 < live:
                    raised.append((charger.identity, live))
        return all(charger.tx_profiles(killed) for charger in site.chargers)

    await until(renewed, 60, "every limit is confirmed anew", site.daemon)
    note(f"start {took:.2f} s; all limits anew {time.monotonic() - back:.1f} s after the return")
    assert not raised, "nobody was raised before all were heard"
    paused = [charger.identity for charger in site.chargers if charger.limit() < SAFE]
    assert not paused, f"{paused} were stopped for nothing"
    await site.settled()
    assert max(site.allowed()) <= RATING + 0.05
    for charger in site.chargers:
        transaction, _ = await charger.unplug()
        assert transaction.id == ids[charger.identity]
    sessions = await site.daemon.sessions()
    print(sessions)
    for number in range(1, 13):
        assert len(lines_of(sessions, f"EVSE-{number:02d}")) == 1, "one session each"
    fresh = site.chargers[0]
    await fresh.plug_in("TAG-NEXT")
    assert max(ids.values()) < fresh.transaction.id, "ids are given once for ever"


async def test_a_stop_that_came_before_a_crash_is_not_counted_twice(site):
    charger = site.chargers[4]
    await charger.connect()
    await charger.plug_in("TAG")
    await asyncio.sleep(3)
    transaction, stop = await charger.unplug()
    site.daemon.kill()
    charger.cut()
    await site.daemon.start()
    await charger.reconnect()
    from ocpp.v16 import call
    from charger import utc_text
    answer = await charger.link.call(call.StopTransaction(
        meter_stop=stop, timestamp=utc_text(), transaction_id=transaction.id, reason="Local"))
    assert answer is not None, "a repeated stop is answered"
    assert len(lines_of(await site.daemon.sessions(), "EVSE-05")) == 1


async def test_a_broker_that_goes_is_a_silent_meter_and_sessions_go_on(site):
    await site.all_charge()
    site.meter.silent = True
    await site.daemon.sees("meter.silent", "grid")
    for charger in site.chargers:
        await charger.heartbeat()
    assert all(charger.transaction for charger in site.chargers)
