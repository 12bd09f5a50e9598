"""Partners over OCPI as processes and sockets: registration from either side, a thousand objects over
pages, an outage with a kill in the middle, commands and limits, a changed configuration."""

import asyncio
import time

from charger import utc_text
from ocpi_partner import Partner
from partner_site import ids, ocpi_configuration, queue, registered, started, token
from site_harness import note, until

import pytest

VERSIONS = ["2.2.1", "2.3.0"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_partner_registers_from_either_side(idle, version, tmp_path):
    partner = await registered(idle, version)
    try:
        assert partner.call("GET", partner.endpoint("locations"))[0] == 200
        _, location, _ = partner.call("GET", partner.endpoint("locations") + "/YARD-1")
        assert len(location["data"]["evses"]) == 12
        assert len(partner.told("tariffs")) == 5, "each tariff is told once"
        await idle.daemon.cli("partner", "rotate", "operator")
        assert partner.call("GET", partner.endpoint("cdrs"))[0] == 200, "with the token it gave"
        old = partner.theirs
        await idle.daemon.cli("partner", "remove", "operator")
        assert partner.call("GET", partner.endpoint("cdrs"), token=old)[0] == 401

        secret = tmp_path / "token-a"
        secret.write_text(Partner.OWN_TOKEN + "\n")
        words = await idle.daemon.cli("partner", "register", "operator", "--versions",
                                      f"{partner.url}/versions", "--token-file", str(secret))
        assert version in words, words
        assert partner.call("GET", partner.endpoint("cdrs"))[0] == 200
        listed = await idle.daemon.cli("partner", "list")
        assert "registered" in listed and version in listed, listed
        log = idle.daemon.log_tail(100000)
        assert Partner.OWN_TOKEN not in log and partner.theirs not in log, "no token in the log"
    finally:
        partner.cut()


async def test_a_thousand_sessions_and_cdrs_come_over_pages_complete(idle):
    partner = await registered(idle)
    try:
        chargers, each = idle.chargers[:5], 200
        now = time.time()
        for charger in chargers:
            await charger.connect()
            charger.cut()
            queue(charger, each, now - 86_400 * 3)
        began = time.monotonic()
        await asyncio.gather(*(charger.reconnect() for charger in chargers))
        note(f"{len(chargers) * each} offline sessions taken over in "
             f"{time.monotonic() - began:.1f} s")

        def complete():
            _, answer, headers = partner.call("GET", partner.endpoint("cdrs") + "?limit=1")
            return int(headers["X-Total-Count"]) == len(chargers) * each

        await until(complete, 60, "every session has its CDR", idle.daemon)
        for module in ("sessions", "cdrs"):
            found, pages = partner.pull(module, limit=37)
            assert len(set(ids(found))) == len(found) == 1000 and pages == 28, module
            energies = sorted(round(one.get("total_energy", one.get("kwh")) * 1000)
                              for one in found)
            assert energies == sorted([1000 + number for number in range(each)] * 5)
        assert len(partner.pull("cdrs")[0]) == 1000, "pages of the server's own size"
        await until(lambda: len(partner.cdrs()) == 1000, 120, "each CDR is pushed", idle.daemon)
        assert len(set(partner.cdrs())) == 1000, "each once"
    finally:
        partner.cut()


async def test_pages_are_complete_while_sessions_are_being_written(idle):
    """A list of 1,000 grows to 1,200 while it is read in small pages."""
    partner = await registered(idle)
    try:
        chargers, now = idle.chargers[:6], time.time()
        for charger in chargers:
            await charger.connect()
            charger.cut()
        for charger in chargers[:5]:
            queue(charger, 200, now - 86_400 * 3)
        queue(chargers[5], 200, now - 86_400 * 2)
        await asyncio.gather(*(charger.reconnect() for charger in chargers[:5]))

        def count(module):
            _, _, headers = partner.call("GET", partner.endpoint(module) + "?limit=1")
            return int(headers["X-Total-Count"])

        await until(lambda: count("cdrs") == 1000, 60, "every session has its CDR", idle.daemon)
        known = {module: set(ids(partner.pull(module)[0])) for module in ("sessions", "cdrs")}

        def crawl(module):
            """Pages of nine until there is no more; every object as it came."""
            url, found = partner.endpoint(module) + "?limit=9", []
            while url:
                status, answer, headers = partner.call("GET", url)
                assert status == 200, answer
                found += ids(answer["data"])
                link = headers.get("Link")
                url = link.split(">")[0].lstrip("<") if link else None
            return found

        writing = asyncio.create_task(chargers[5].reconnect())
        sessions, cdrs = await asyncio.gather(asyncio.to_thread(crawl, "sessions"),
                                              asyncio.to_thread(crawl, "cdrs"))
        await writing
        for module, found in (("sessions", sessions), ("cdrs", cdrs)):
            assert len(set(found)) == len(found), f"{module}: none twice"
            assert known[module] <= set(found), f"{module}: none is missed"
            note(f"pull of {module} while they are written: {len(found)} of 1000 to 1200, none twice")
        await until(lambda: count("cdrs") == 1200, 60, "all are there at the end", idle.daemon)
        assert len(set(crawl("cdrs"))) == len(set(crawl("sessions"))) == 1200
    finally:
        partner.cut()


async def test_drivers_of_a_partner_charge_by_its_word_and_without_it(idle):
    """The whitelist rules, from charger to partner and back, with the uplink up and down."""
    partner = await registered(idle, access='tokens = ["LOCAL"]')
    try:
        partner.tokens = [partner.token(uid, whitelist=rule) for uid, rule in (
            ("ALWAYS-1", "ALWAYS"), ("OFFLINE-1", "ALLOWED_OFFLINE"), ("NEVER-1", "NEVER"))]
        charger = idle.chargers[0]
        await charger.connect()

        async def known():
            partner.asked.clear()
            return await charger.authorize("ALWAYS-1") == "Accepted" and not partner.asked

        await until(known, 30, "the tokens were pulled, and nobody is asked", idle.daemon)
        assert await charger.authorize("LOCAL") == "Accepted"
        assert not partner.asked, "nobody was asked"
        partner.word = {"OFFLINE-1": "ALLOWED", "NEVER-1": "ALLOWED", "NEW-1": "ALLOWED"}
        for uid in ("OFFLINE-1", "NEVER-1", "NEW-1"):
            assert await charger.authorize(uid) == "Accepted", uid
            assert uid in partner.asked, uid
        assert await charger.authorize("STRANGER") != "Accepted"
        assert await charger.plug_in("NEVER-1") == "Accepted"
        await until(lambda: partner.sessions(), 30, "the session is told", idle.daemon)
        session = next(iter(partner.sessions().values()))
        assert session["auth_method"] == "AUTH_REQUEST", session
        assert session["authorization_reference"] == "ref-NEVER-1", session
        await charger.unplug()

        partner.cut()
        idle.daemon.kill()
        charger.cut()
        await idle.daemon.start()
        await charger.reconnect()
        verdicts = {uid: await charger.authorize(uid)
                    for uid in ("LOCAL", "ALWAYS-1", "OFFLINE-1", "NEVER-1", "STRANGER")}
        charge = {uid for uid, verdict in verdicts.items() if verdict == "Accepted"}
        assert charge == {"LOCAL", "ALWAYS-1", "OFFLINE-1"}, verdicts
        note(f"uplink down, box restarted: {', '.join(sorted(charge))} charge")
    finally:
        partner.cut()


async def test_a_reservation_of_a_partner_is_kept_by_the_charger(idle):
    partner = await registered(idle, access='tokens = ["LOCAL"]')
    try:
        charger = idle.chargers[8]
        await charger.connect()
        reserve = {"response_url": f"{partner.url}/result/reserve",
                   "token": token(partner, "0f3c9a52-7f0e-4d6c-9b1e-2a4d8e6f0c11"),
                   "expiry_date": utc_text(time.time() + 1800), "reservation_id": "R-1",
                   "location_id": "YARD-1", "evse_uid": "EVSE-09"}
        url = partner.endpoint("commands", "RECEIVER")
        status, answer, _ = partner.call("POST", f"{url}/RESERVE_NOW", reserve)
        assert status == 200 and answer["data"]["result"] == "ACCEPTED", answer
        await until(lambda: partner.results, 20, "the result", idle.daemon)
        assert partner.results[0] == ("reserve", {"result": "ACCEPTED"}), partner.results
        assert await charger.plug_in("LOCAL") != "Accepted", "it is kept for another"
        asked = [frame for frame in charger.frames
                 if not frame.sent and frame.is_call("ReserveNow")]
        tag = asked[0].parts[3]["idTag"] if asked else None
        if tag:
            assert len(tag) <= 20, tag
        cancel = {"response_url": f"{partner.url}/result/cancel", "reservation_id": "R-1"}
        _, answer, _ = partner.call("POST", f"{url}/CANCEL_RESERVATION", cancel)
        assert answer["data"]["result"] == "ACCEPTED", answer
        await until(lambda: len(partner.results) == 2, 20, "the second result", idle.daemon)
        assert partner.results[1] == ("cancel", {"result": "ACCEPTED"}), partner.results
        assert await charger.plug_in("LOCAL") == "Accepted", "it is free again"
    finally:
        partner.cut()


async def test_after_an_outage_with_a_kill_each_object_is_told_once(idle):
    """Three sessions: one ends in the outage, one begins and ends in it, one begins in it and goes
    on. The box is killed in between."""
    partner = await registered(idle)
    try:
        before, within, lasting = idle.chargers[0], idle.chargers[1], idle.chargers[2]
        for charger in (before, within, lasting):
            await charger.connect()
        await before.plug_in("TAG-A")
        await until(lambda: partner.sessions(), 30, "the first session is told", idle.daemon)
        first = next(iter(partner.sessions()))
        partner.cut()
        await within.plug_in("TAG-B")
        await lasting.plug_in("TAG-C")
        await asyncio.sleep(3)  # long enough for an attempt that fails
        idle.daemon.kill()
        for charger in (before, within, lasting):
            charger.cut()
        await idle.daemon.start()
        for charger in (before, within, lasting):
            await charger.reconnect()
        await before.unplug()
        await within.unplug()
        await asyncio.sleep(3)
        listed = await idle.daemon.cli("partner", "list")
        assert "unreachable" in listed and "waiting" in listed, listed
        cut_until = time.monotonic()
        partner.mend()
        await until(lambda: len(partner.cdrs()) == 2 and len(partner.sessions()) == 3, 90,
                    "the partner has everything", idle.daemon)
        note(f"everything told {time.monotonic() - cut_until:.1f} s after the partner was back")
        await asyncio.sleep(3)  # whatever is told twice is told by then
        states = partner.sessions()
        assert sorted(one["status"] for one in states.values()) == [
            "ACTIVE", "COMPLETED", "COMPLETED"]
        assert states[first]["status"] == "COMPLETED", "the session from before goes on, and ends"
        ended = {name for name, one in states.items() if one["status"] == "COMPLETED"}
        puts = [body["id"] for method, _, body in partner.told("sessions", cut_until)]
        for name in ended:
            assert puts.count(name) == 1, f"{name} is put once: {puts}"
        assert sorted(partner.cdrs()) == sorted(ended), "each CDR once"
        ends = [body["end_date_time"] for _, _, body in partner.told("cdrs", methods=("POST",))]
        assert ends == sorted(ends), "in their order"
        locations = partner.told("locations", cut_until)
        places = [path for method, path, _ in locations]
        assert len(places) == len(set(places)), f"each place once: {places}"
        assert not any(method == "PATCH" for method, _, _ in locations[:1]), "no stale PATCH"
    finally:
        partner.cut()


async def test_a_cdr_whose_answer_is_lost_is_kept_once(idle):
    partner = await registered(idle)
    try:
        partner.cdr_answer_lost = 1
        charger = idle.chargers[4]
        await charger.connect()
        charger.cut()
        queue(charger, 3, time.time() - 7200)
        await charger.reconnect()
        await until(lambda: len(set(partner.cdrs())) == 3, 60,
                    lambda: f"all three arrive: {partner.cdrs()}", idle.daemon)
        await asyncio.sleep(2)
        told = partner.cdrs()
        assert len(told) == 4 and told[0] == told[1], f"the doubtful one twice, no other: {told}"
        assert "waiting 0" in await idle.daemon.cli("partner", "list")
    finally:
        partner.cut()


async def test_commands_and_limits_of_a_partner_reach_the_charger(idle):
    partner = await registered(idle, "2.3.0")
    try:
        charger = idle.chargers[8]
        await idle.connect_all()
        start = {"response_url": f"{partner.url}/result/start",
                 "token": token(partner, "0f3c9a52-7f0e-4d6c-9b1e-2a4d8e6f0c11"),
                 "location_id": "YARD-1", "evse_uid": "EVSE-09"}
        url = partner.endpoint("commands", "RECEIVER")
        status, answer, _ = partner.call("POST", f"{url}/START_SESSION", start)
        assert status == 200 and answer["data"]["result"] == "ACCEPTED", answer
        await until(lambda: partner.results, 20, "the result of the command", idle.daemon)
        assert partner.results[0] == ("start", {"result": "ACCEPTED"})
        asked = [frame for frame in charger.frames
                 if not frame.sent and frame.is_call("RemoteStartTransaction")]
        await charger.plug_in(asked[0].parts[3]["idTag"])
        await until(lambda: partner.sessions(), 20, "the session is told", idle.daemon)
        session = next(iter(partner.sessions().values()))
        assert session["cdr_token"]["uid"] == start["token"]["uid"], "the whole uid, not the idTag"
        assert session["auth_method"] == "COMMAND"

        await until(lambda: 10.5 < charger.limit(), 60, "it may draw more", idle.daemon)
        foreign = {"response_url": "http://192.0.2.1/result/limit", "charging_profile": {}}
        url = partner.endpoint("chargingprofiles", "RECEIVER") + "/" + session["id"]
        _, answer, _ = partner.call("PUT", url, foreign)
        assert answer["status_code"] == 2001, "a response_url of strangers is refused"
        profile = {"response_url": f"{partner.url}/result/limit", "charging_profile": {
            "charging_rate_unit": "W", "charging_profile_period": [
                {"start_period": 0, "limit": 6900.0}]}}
        _, answer, _ = partner.call("PUT", url, profile)
        assert answer["data"]["result"] == "ACCEPTED", answer
        await until(lambda: charger.limit() <= 10.05, 30, "6.9 kW on three phases", idle.daemon)
        await idle.daemon.explains("EVSE-09", "operator")
        await until(lambda: len(partner.results) == 2, 20, "the result of the profile")
        wanted = {"profile_type": "REGULAR", "departure_time": "2030-01-01T00:00:00Z",
                  "energy_need": 20.0}
        _, answer, _ = partner.call(
            "PUT", f"{partner.endpoint('sessions')}/{session['id']}/charging_preferences", wanted)
        assert answer["data"] == "ACCEPTED", answer
        await charger.unplug()
        await until(lambda: partner.cdrs(), 30, "the CDR", idle.daemon)
    finally:
        partner.cut()


async def test_a_changed_configuration_reaches_partners(idle):
    partner = await registered(idle)
    try:
        tariff = '[[ocpi.tariff]]\nid = "single"\n[[ocpi.tariff.element]]\nper_kwh = 0.5\n'
        changed = ocpi_configuration(idle.daemon.ports, tariffs=tariff).replace(
            "17 avenue des Tests", "19 avenue des Tests")
        at = time.monotonic()
        idle.daemon.config.write_text(changed)
        idle.daemon.reload()
        await idle.daemon.sees("config.loaded")
        await until(lambda: [body for _, _, body in partner.told("locations", at)
                             if body.get("address") == "19 avenue des Tests"],
                    20, "the location is told anew", idle.daemon)
        await until(lambda: [body for _, _, body in partner.told("tariffs", at)
                             if body["id"] == "single"], 20, "the tariff is told", idle.daemon)
        assert [one["id"] for one in partner.pull("tariffs")[0]] == ["single"]
        assert "registered" in await idle.daemon.cli("partner", "list"), "it stays registered"
    finally:
        partner.cut()


async def test_a_strangers_request_is_refused_and_told_once(idle):
    partner = await started(idle)
    try:
        base = f"http://127.0.0.1:{idle.daemon.ports['ocpi']}/ocpi"
        for path in ("/versions", "/2.2.1/sender/cdrs"):
            assert partner.call("GET", base + path, token="stranger")[0] == 401
        await idle.daemon.sees("partner.unknown")
    finally:
        partner.cut()
