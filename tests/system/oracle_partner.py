"""Other people's tools judge what the box says over OCPI: `.ci/run oracle`, not part of the usual run,
because their installation takes ten minutes of two cores (docs/ocpi.md has a transcript).

AMPGATE_ORACLE is a directory with `ocpi` (ocpi-kit 0.4.0) and `ocpi-tariffs` (0.54.0) in it."""

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path

from partner_site import queue, registered, started
from site_harness import free_port, note, until

import pytest

# Bounds of the total, nights over midnight, bands of duration, steps across prices, two VAT rates.
MORE = """
[[ocpi.tariff]]
id = "capped"
min_price = 2.0
max_price = 2.9
[[ocpi.tariff.element]]
flat = 0.5
per_kwh = 0.31
vat_percent = 20

[[ocpi.tariff]]
id = "night"
[[ocpi.tariff.element]]
per_hour = 0.9
per_kwh = 0.12
step_s = 300
vat_percent = 10
from = "22:00"
until = "06:00"
[[ocpi.tariff.element]]
per_hour = 2.4
per_kwh = 0.39
step_s = 300
vat_percent = 21

[[ocpi.tariff]]
id = "durations"
[[ocpi.tariff.element]]
flat = 0.75
per_kwh = 0.20
vat_percent = 20
max_duration_s = 1800
[[ocpi.tariff.element]]
per_kwh = 0.35
per_hour = 1.0
vat_percent = 20
min_duration_s = 1800
max_duration_s = 5400
[[ocpi.tariff.element]]
per_kwh = 0.70
vat_percent = 20

[[ocpi.tariff]]
id = "work-days"
[[ocpi.tariff.element]]
per_kwh = 0.44
step_wh = 500
vat_percent = 20
days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
from = "08:00"
until = "18:00"
[[ocpi.tariff.element]]
per_kwh = 0.22
step_wh = 500
vat_percent = 20

[[ocpi.connector]]
evse = "EVSE-06"
tariff = "night"
[[ocpi.connector]]
evse = "EVSE-07"
tariff = "durations"
[[ocpi.connector]]
evse = "EVSE-08"
tariff = "work-days"
"""

VERSIONS = ["2.2.1", "2.3.0"]
DAY = 86_400


def oracle(name, *words, code=0):
    """Output of one of the tools."""
    program = Path(os.environ["AMPGATE_ORACLE"]) / name
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)
    said = done.stdout + done.stderr
    assert done.returncode == code, f"{name} {words}: {done.returncode}\n{said}"
    return said


async def busy(site, partner, each=40):
    """Sessions at every kind of tariff, over days and nights, in the past."""
    now = time.time()
    chargers = [site.chargers[number] for number in (4, 5, 6, 7)]
    for charger in chargers:
        await charger.connect()
        charger.cut()
        queue(charger, each, now - 12 * DAY, every=3.3 * 3600, lasts=2.4 * 3600, energy=6500)
    await asyncio.gather(*(charger.reconnect() for charger in chargers))
    await until(lambda: each * len(chargers) <= len(partner.cdrs()), 120, "all CDRs are told",
                site.daemon)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_conformance_reader_finds_no_failure(idle, version):
    partner = await registered(idle, version)
    try:
        await busy(idle, partner)
        url = f"http://127.0.0.1:{idle.daemon.ports['ocpi']}/ocpi/versions"
        said = await asyncio.to_thread(
            oracle, "ocpi", "conformance", url, "--token", partner.theirs, "--insecure")
        print(said)
        assert "[x]" not in said
        note(f"ocpi conformance {version}: {said.strip().splitlines()[-1]}")
    finally:
        partner.cut()


@pytest.mark.parametrize("version", VERSIONS)
async def test_everything_that_is_sent_is_valid(idle, version, tmp_path):
    partner = await registered(idle, version)
    try:
        await busy(idle, partner, each=5)
        await idle.chargers[8].connect()
        await idle.chargers[8].plug_in("TAG-9")
        await until(lambda: any(one["status"] == "ACTIVE" for one in partner.sessions().values()),
                    30, "a running session", idle.daemon)
        await asyncio.sleep(8)
        sent = [("location" if path.endswith("YARD-1") else "evse", body)
                for method, path, body in partner.told("locations", methods=("PUT",))]
        sent += [(kind, body) for module, kind in (("sessions", "session"), ("cdrs", "cdr"),
                                                   ("tariffs", "tariff"))
                 for method, _, body in partner.told(module) if method != "PATCH"]
        for module, kind in (("locations", "location"), ("sessions", "session"), ("cdrs", "cdr"),
                             ("tariffs", "tariff")):
            sent += [(kind, one) for one in partner.pull(module)[0]]
        base = f"http://127.0.0.1:{idle.daemon.ports['ocpi']}/ocpi/{version}"
        sent.append(("version-details", partner.call("GET", base)[1]["data"]))
        sent.append(("credentials", partner.call("GET", f"{base}/credentials")[1]["data"]))
        for number, (kind, body) in enumerate(sent):
            file = tmp_path / f"{number}-{kind}.json"
            file.write_text(json.dumps(body))
            await asyncio.to_thread(oracle, "ocpi", "validate", "--as", kind, "--version", version,
                                    str(file))
        note(f"ocpi validate {version}: {len(sent)} objects, all valid")
    finally:
        partner.cut()


async def test_a_thousand_objects_are_pulled_complete(idle):
    partner = await registered(idle)
    try:
        chargers = idle.chargers[:5]
        for charger in chargers:
            await charger.connect()
            charger.cut()
            queue(charger, 200, time.time() - 3 * DAY)
        await asyncio.gather(*(charger.reconnect() for charger in chargers))
        await until(lambda: len(partner.cdrs()) == 1000, 180, "all CDRs are told", idle.daemon)
        url = f"http://127.0.0.1:{idle.daemon.ports['ocpi']}/ocpi/versions"
        for module in ("cdrs", "sessions"):
            said = await asyncio.to_thread(oracle, "ocpi", "pull", module, url, "--token",
                                           partner.theirs, "--insecure", "--limit", "50")
            found = said.count('"cdr_token"')
            assert found == 1000, f"{module}: {found}\n{said[-500:]}"
            note(f"ocpi pull {module}: {found} objects over pages of 50")
    finally:
        partner.cut()


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_box_registers_with_the_mock(idle, version, tmp_path):
    partner = await started(idle, version)
    partner.cut()
    port, log = free_port(), tmp_path / "mock.log"
    program = Path(os.environ["AMPGATE_ORACLE"]) / "ocpi"
    with log.open("wb") as out:
        mock = subprocess.Popen(
            [program, "serve-mock", "--bind", f"127.0.0.1:{port}", "--role", "emsp", "--version",
             version, "--insecure"], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        await until(lambda: "listening" in log.read_text(), 10, "the mock listens")
        (tmp_path / "token").write_text("test-token-a")  # as its documentation has it
        words = await idle.daemon.cli(
            "partner", "register", "operator", "--versions", f"http://127.0.0.1:{port}/versions",
            "--token-file", str(tmp_path / "token"))
        assert version in words, words
        await idle.daemon.sees("partner.registered", version)
        # It keeps no credentials and so knows none of our objects' owners: it refuses what is told.
        listed = await idle.daemon.cli("partner", "list")
        assert version in listed and "not registered" not in listed, listed
        note(f"registered with serve-mock {version}: {listed.strip()}")
    finally:
        mock.terminate()
        mock.wait()


async def test_totals_of_cdrs_are_those_of_another_implementation(idle, tmp_path):
    """Five tariffs: times of day in the site's zone, weekdays, step sizes, bands of energy and of
    time, parking. 2.2.1, because the tool knows no 2.3.0."""
    partner = await registered(idle)
    try:
        parked = idle.chargers[8]
        await idle.connect_all()  # a charger that was never heard leaves no room
        await parked.plug_in("TAG-P")
        await until(lambda: 0 < parked.current(), 30, "it charges", idle.daemon)
        await parked.send_meter_values()
        await asyncio.sleep(4)
        parked.demand = 0.0
        await parked.send_meter_values()
        await parked.status("SuspendedEV")
        await asyncio.sleep(6)
        await parked.unplug()
        for number in range(4, 8):
            idle.chargers[number].cut()
        await busy(idle, partner)
        cdrs, _ = partner.pull("cdrs")
        assert any(period for cdr in cdrs for period in cdr["charging_periods"]
                   if any(one["type"] == "PARKING_TIME" for one in period["dimensions"]))
        tariffs = {cdr["tariffs"][0]["id"] for cdr in cdrs}
        assert tariffs == {"day-night", "steps", "bands", "weekend", "parking"}, tariffs
        wrong, split = [], 0
        for cdr in cdrs:
            split += 1 < len(cdr["charging_periods"])
            file = tmp_path / f"{cdr['id']}.json"
            file.write_text(json.dumps(cdr))
            said = await asyncio.to_thread(price, file)
            if said is not None:
                wrong.append((cdr["id"], cdr["tariffs"][0]["id"], said))
        assert not wrong, "\n".join(f"{one}" for one in wrong[:5])
        note(f"ocpi-tariffs: {len(cdrs)} CDRs of {len(tariffs)} tariffs, {split} with several "
             "periods, all totals equal")
    finally:
        partner.cut()


async def test_totals_of_a_second_set_of_tariffs_are_those_of_another_implementation(
        idle, tmp_path):
    partner = await registered(idle, tariffs=MORE)
    try:
        await busy(idle, partner)
        cdrs, _ = partner.pull("cdrs")
        tariffs = {cdr["tariffs"][0]["id"] for cdr in cdrs}
        assert tariffs == {"capped", "night", "durations", "work-days"}, tariffs
        wrong = {}
        for cdr in cdrs:
            file = tmp_path / f"{cdr['id']}.json"
            file.write_text(json.dumps(cdr))
            said = await asyncio.to_thread(price, file)
            if said is not None:
                wrong.setdefault(cdr["tariffs"][0]["id"], []).append((cdr["id"], said))
        assert not wrong, "\n".join(f"{name} {len(all)}: {all[:2]}" for name, all in wrong.items())
        split = sum(1 < len(cdr["charging_periods"]) for cdr in cdrs)
        note(f"ocpi-tariffs: {len(cdrs)} CDRs of {len(tariffs)} more tariffs, {split} with several "
             "periods, all totals equal")
    finally:
        partner.cut()


def price(file):
    """Rows of totals in which the other implementation differs; none if all are equal."""
    said = oracle("ocpi-tariffs", "price", "-c", str(file), "-o", "v221", "-z", "Europe/Paris")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines()]
    rows = [row for row in rows if len(row) == 3 and row[0].startswith("Total")]
    assert 10 < len(rows), said
    empty = {"-": "0", "P0D": "0", "PT0S": "0", "€0": "0"}
    taxed = "incl_vat" in json.loads(Path(file).read_text())["total_cost"]
    differ = []
    for name, report, cdr in rows:
        report, cdr = empty.get(report, report), empty.get(cdr, cdr)
        if report == cdr or "Incl." in name and not taxed:
            continue  # a tariff without VAT has no totals with it here
        if "Time" in name and "Cost" not in name and abs(seconds(report) - seconds(cdr)) <= 0.36:
            continue  # the standard's four decimals of an hour
        if "Cost" in name and abs(euros(report) - euros(cdr)) < 0.00015:
            continue  # the fourth decimal: ties go to even there, and sums are not of rounded parts
        differ.append([name, report, cdr])
    return differ or None


def euros(text):
    return float(text.removeprefix("€"))


def seconds(text):
    return float(text.removeprefix("PT").removesuffix("S") or 0)
