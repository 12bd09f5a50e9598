"""A driver says what the car needs: on a phone behind the QR code, and for them the operator."""

import json
import re
import subprocess
import urllib.request
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import zxingcpp
from browser import Browser
from PIL import Image
from site_harness import get, until


def clock(hours):
    """A time of day by the clock of the site, so many hours from now."""
    return (datetime.now(ZoneInfo("Europe/Paris")) + timedelta(hours=hours)).strftime("%H:%M")


async def plugged(site, number=0):
    charger = site.chargers[number]
    await charger.connect()
    assert await charger.plug_in(f"TAG-{number}") == "Accepted"
    return f"EVSE-{number + 1:02d}"


def preference(site, evse):
    return json.loads(get(f"{site.daemon.web_url}/api/v1/evses/{evse}/preference")[1])


async def test_a_driver_scans_says_what_is_needed_and_reads_it_on_the_phone(site, tmp_path):
    evse = await plugged(site)
    poster = f"{site.daemon.web_url}/evse/{evse}/qr"
    leaves = clock(3)
    async with Browser(tmp_path / "profile") as phone:
        await phone.load(poster)
        await phone.photograph(tmp_path / "poster.png")
        codes = zxingcpp.read_barcodes(Image.open(tmp_path / "poster.png"))
        assert len(codes) == 1, "the code on the poster can be read"
        await phone.load(codes[0].text)
        await phone.says("Nothing was said yet")
        await phone.fill("energy", "7,5")
        await phone.fill("time", leaves)
        await phone.press("Save")
        # Past midnight the day stands before the time.
        assert f"{leaves}." in await phone.says("Noted: 7.5 kWh by ")
        await phone.photograph(tmp_path / "phone.png")
        wide = await phone.run("document.documentElement.scrollWidth > innerWidth")
        assert not wide, "nothing sticks out on a phone"
        await site.daemon.sees("session.preference", evse, "the driver wants 7.5 kWh")
        # Nothing is lost when the process dies, and the printed code still opens the page.
        site.daemon.kill()
        await site.daemon.start()
        await site.chargers[0].connect()
        await until(lambda: get(codes[0].text)[0] == 200, 10, "the page opens", site.daemon)
        await phone.load(codes[0].text)
        await phone.says("Said by the driver: 7.5 kWh")
        await phone.press("Take back")
        await phone.says("Noted: nothing is wished any more.")
    assert preference(site, evse) is None


async def test_a_link_of_before_the_restart_says_kindly_that_it_has_run_out(site):
    evse = await plugged(site)
    poster = get(f"{site.daemon.web_url}/evse/{evse}/qr")[1]
    code = re.search(rf"/d/{evse}\?c=[0-9a-f]+", poster)[0]
    with urllib.request.urlopen(site.daemon.web_url + code, timeout=5) as page:
        link = page.url
    assert get(link)[0] == 200
    site.daemon.kill()
    await site.daemon.start()
    status, page = get(link)
    assert status == 403
    assert "This link has run out." in page and "Scan the QR code" in page
    assert (site.daemon.data / "drivers.key").stat().st_mode & 0o777 == 0o600


async def test_the_operator_says_it_on_the_command_line(site):
    evse = await plugged(site, 4)
    leaves = clock(5)
    told = await site.daemon.cli("prefer", evse, "--kwh", "20", "--departure", leaves)
    assert told.startswith(f"{evse}: noted, 20.0 kWh by ") and leaves in told, told
    await site.daemon.explains(evse, "wanted", "20.0 kWh by ", leaves, "said by the operator")
    told = await site.daemon.cli("prefer", evse, "--soc", "20-80", "--battery-kwh", "60")
    assert told == f"{evse}: noted, 20 % to 80 % of 60.0 kWh\n"
    assert preference(site, evse)["charge"]["capacity_wh"] == 60000
    assert "nothing is wished" in await site.daemon.cli("prefer", evse, "--clear")


async def test_a_wish_for_nobody_is_refused_in_words(site):
    await site.connect_all()
    for words, why in [(["EVSE-03", "--kwh", "20"], "no car is plugged in at EVSE-03"),
                       (["EVSE-99", "--kwh", "20"], "there is no EVSE"),
                       (["EVSE-03", "--departure", "noon"], "a departure at \"noon\"")]:

        def refused():
            done = subprocess.run(
                [site.daemon.binary, "prefer", *words, "--url", site.daemon.web_url],
                capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
            return done.returncode == 1 and why in done.stderr

        await until(refused, 15, f"{words} is refused: {why}", site.daemon)


async def test_what_is_said_before_the_card_counts_for_the_session(site):
    charger = site.chargers[5]
    await charger.connect()
    await charger.status("Preparing")
    ready = lambda: "plugged in" in get(f"{site.daemon.web_url}/evse/EVSE-06")[1]
    await until(ready, 10, "the car is seen", site.daemon)
    await site.daemon.cli("prefer", "EVSE-06", "--kwh", "12")
    assert preference(site, "EVSE-06")["session"] is None
    assert await charger.plug_in("TAG-6") == "Accepted"

    def taken_over():
        known = preference(site, "EVSE-06")
        return known and known["session"] and known["words"] == "12.0 kWh"

    await until(taken_over, 10, "the session has taken the wish over", site.daemon)
