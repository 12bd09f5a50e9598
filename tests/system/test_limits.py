"""Limits under load: they fall at once, they rise after others are seen to have come down."""

import asyncio
import time

from site_harness import MAX_AGE, RATING, SAFE, WORST_LOAD, note, until
from station import Quitter

WAVE = "every limit is lowered"


async def test_a_jump_of_the_grid_load_lowers_every_limit(site):
    before = (await asyncio.gather(site.all_charge(), asyncio.sleep(0)))[0]
    limits = await site.settled()
    print(f"limits at rest: {limits} A, drawn {site.drawn()} A per phase")
    assert 0.9 * RATING < max(site.allowed()) <= RATING, "the connection is used"
    pushed = site.meter.push(30.0)

    def lowered():
        waves = [charger.tx_profiles(pushed) for charger in site.chargers]
        return all(wave and wave[0][1] < limit for wave, limit in zip(waves, limits)) and waves

    waves = await until(lowered, 5, WAVE, site.daemon)
    times = [wave[0][0] - pushed for wave in waves]
    for charger, limit, wave, took in zip(site.chargers, limits, waves, times):
        print(f"{charger.identity}: {limit} A -> {wave[0][1]} A after {1000 * took:.1f} ms")
    note(f"publish to the last of 12 SetChargingProfile: {1000 * max(times):.1f} ms")
    assert max(times) < 1.0
    await site.settled()
    assert max(site.allowed()) + 30.0 <= RATING + 0.05


async def test_lowering_is_seen_before_anybody_is_raised(site):
    """The auditor of the harness adds up what the chargers may draw at every change."""
    for charger in site.chargers:
        charger.answer_delay = 0.3
    first, rest = site.chargers[8], [site.chargers[number] for number in (4, 5, 6)]
    await site.connect_all()
    await first.plug_in("TAG-A")
    await until(lambda: first.limit() == 32.0, 60, "the first car has all", site.daemon)
    site.meter.push(30.0)  # 50 A are left for charging, a second car does not fit beside 32 A
    await site.settled()
    began = time.monotonic()
    for number, charger in enumerate(rest):
        await charger.plug_in(f"TAG-{number}")
    await site.settled()
    shared = site.chargers[8].limit(), rest[0].limit(), rest[1].limit(), rest[2].limit()
    note(f"shares after the others came: {shared} A")
    assert all(SAFE < limit for limit in shared)
    assert first.tx_profiles(began)[0][1] < 32.0, "the first car was lowered"
    assert not site.overloads


async def test_room_that_is_given_back_is_used(site):
    await site.all_charge()
    site.meter.push(30.0)
    low = await site.settled()
    site.meter.push(0.0)
    await until(lambda: 0.9 * RATING < max(site.allowed()), 60, "limits rise again", site.daemon)
    high = await site.settled()
    print(f"{low} -> {high}")
    assert sum(low) < sum(high)


async def test_a_silent_meter_counts_as_the_worst_load_and_is_named(site):
    await site.all_charge()
    silent = time.monotonic()
    site.meter.silent = True
    worst = RATING - WORST_LOAD
    await until(lambda: max(site.allowed()) <= worst + 0.05, MAX_AGE + 5,
                "limits leave room for the worst load", site.daemon)
    note(f"room for the worst load {time.monotonic() - silent:.1f} s after the last reading")
    await site.daemon.sees("meter.silent", "grid")
    await site.daemon.explains("EVSE-01", "grid", "silent")
    site.meter.silent = False
    await site.daemon.sees("meter.heard", "grid")
    await until(lambda: worst + 5 < max(site.allowed()), 60, "limits rise again", site.daemon)


async def test_a_charger_that_ignores_its_limit_is_named_and_others_make_room(site):
    rebel = site.chargers[8]
    await site.all_charge()
    rebel.obeys = False  # draws 32 A on three phases whatever it was told
    site.audit_pause = float("inf")  # what it does is not the daemon's to prevent
    await site.daemon.sees("limit.ignored", "EVSE-09", timeout=40)
    await until(lambda: max(site.drawn()) <= RATING + 0.05, 40, "others make room", site.daemon)
    await site.daemon.explains("EVSE-09", "more than it was told")


async def test_a_charger_that_refuses_every_profile_is_an_alarm(site):
    mule = site.chargers[4]
    mule.refuses = True
    await mule.connect()
    await mule.plug_in("TAG-1")
    await site.daemon.sees("limit.refused", "EVSE-05", timeout=60)


async def test_a_charger_that_ends_the_charge_at_0_a_is_paused_by_starting_it_again(site):
    quitter = Quitter("CP-05", site.daemon.ocpp_url)
    quitter.wiring, quitter.on_change, site.chargers[4] = ["L2"], site.audit, quitter
    await site.connect_all()
    assert await quitter.plug_in("TAG-5") == "Accepted"
    await until(lambda: SAFE < quitter.limit(), 30, "it charges", site.daemon)
    site.meter.push(79.0)
    await site.daemon.sees("charger.pause_ended", "EVSE-05", timeout=20)
    assert quitter.transaction is None and quitter.asked_for is None
    await asyncio.sleep(10)
    assert quitter.asked_for is None, "no room yet"
    back = site.meter.push(0.0)
    await until(lambda: quitter.asked_for, 180, "it is started again", site.daemon)
    note(f"a charge that ended at 0 A was begun again {time.monotonic() - back:.0f} s after "
         "there was room")
    assert await quitter.plug_in(quitter.asked_for) == "Accepted"
    await until(lambda: SAFE < quitter.limit(), 30, "it charges again", site.daemon)
    assert not site.overloads


async def test_every_live_limit_falls_by_itself_to_the_safe_share(site):
    await site.all_charge()
    for charger in site.chargers:
        profiles = charger.tx_profiles()
        assert profiles, charger.identity
        assert all(safe == SAFE for _, _, safe in profiles)
        defaults = [key for key in charger.profiles if key[1] == "TxDefaultProfile"]
        assert defaults, f"{charger.identity} has no permanent safe share"
        fallen = charger.limit(time.time() + 3600)
        assert fallen == SAFE, f"{charger.identity} would be at {fallen} A an hour later"
