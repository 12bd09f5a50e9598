"""What an operator relies on: health and figures, exports, log levels, and a disk that is full."""

import asyncio
import csv
import io
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

from site_harness import configuration, get, note, until


def health(daemon, query=""):
    """Status and body, also where the status is 503."""
    try:
        answer = urllib.request.urlopen(f"{daemon.web_url}/healthz{query}", timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, json.loads(answer.read())


def figure(daemon, name):
    """The value of a figure, labels and all."""
    _, text = get(f"{daemon.web_url}/metrics")
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found[1]) if found else None


def of(body, name):
    return next(check for check in body["checks"] if check["name"] == name)


async def test_health_tells_what_is_wrong_in_words(site):
    status, body = health(site.daemon)
    assert status == 200 and body["status"] == "degraded", body
    assert of(body, "chargers")["words"].startswith("0 of 12 connected"), body
    assert health(site.daemon, "?strict=1")[0] == 503
    await site.connect_all()

    def is_well():
        return health(site.daemon, "?strict=1")[0] == 200

    await until(is_well, 15, "all is well", site.daemon)
    site.meter.silent = True
    await until(lambda: of(health(site.daemon)[1], "meters")["words"] == "silent: grid", 15,
                "the silent meter is named", site.daemon)
    assert health(site.daemon)[0] == 200


async def test_the_figures_keep_promtools_rules_and_the_alerts_name_them(site):
    await site.all_charge()
    _, text = get(f"{site.daemon.web_url}/metrics")
    assert 0 < figure(site.daemon, "ampgate_store_commit_seconds_count")
    assert figure(site.daemon, "ampgate_sessions_open") == 12
    assert 0 < figure(site.daemon, "ampgate_disk_free_bytes")
    note(f"{len([line for line in text.splitlines() if line[0] != '#'])} figures of 12 EVSEs, "
         f"{len(text)} bytes")
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed; the rules that it has are tested in src/ui")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                             capture_output=True)
    assert checked.returncode == 0 and not checked.stderr.strip(), checked.stderr


async def test_sessions_are_exported_while_the_daemon_runs_and_without_it(site):
    await site.connect_all()
    charger = site.chargers[4]
    assert await charger.plug_in("TAG-EXPORT") == "Accepted"
    await until(lambda: 2000 < charger.energy() - charger.transaction.meter_start or
                charger.current() == 32.0, 30, "it charges", site.daemon)
    await charger.unplug()
    await site.daemon.sees("session.ended", "EVSE-05")

    async def export(*words):
        done = await asyncio.to_thread(
            subprocess.run,
            [site.daemon.binary, "export", *words, "--data", site.daemon.data],
            capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    code, text, why = await export("sessions")
    assert code == 0, why
    rows = list(csv.DictReader(io.StringIO(text)))
    print(text)
    assert len(rows) == 1 and rows[0]["token"] == "TAG-EXPORT" and rows[0]["evse"] == "EVSE-05"
    energy = (float(rows[0]["meter_stop_wh"]) - float(rows[0]["meter_start_wh"])) / 1000
    assert abs(energy - float(rows[0]["energy_kwh"])) < 0.01
    code, text, _ = await export("sessions", "--to", "2020-01-01")
    assert code == 0 and len(text.splitlines()) == 1, "a head and nothing else"
    code, _, why = await export("cdrs")
    assert code == 1 and "expected [ocpi]" in why
    await site.daemon.stop()
    code, text, _ = await export("sessions", "--format", "json")
    assert code == 0 and json.loads(text)[0]["session_id"] == 1


async def test_log_levels_of_modules_and_a_reload(idle):
    text = configuration(idle.daemon.ports)
    idle.daemon.config.write_text(text + '\n[log]\nlevel = "warn"\n')
    await idle.start()
    await idle.connect_all()
    assert "info link.up" not in idle.daemon.log_tail(1000)
    idle.daemon.config.write_text(text + '\n[log]\nlevel = "warn,io=info"\n')
    idle.daemon.reload()
    idle.chargers[0].cut()
    await until(lambda: "warn link.down CP-01" in idle.daemon.log_tail(1000), 10, "a warning")
    await idle.chargers[0].connect()
    await until(lambda: "info link.up CP-01" in idle.daemon.log_tail(1000), 10,
                "events are of the module io", idle.daemon)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 48 MiB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small disk needs root, to mount a tmpfs")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "tmpfs", place],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


async def charge_though_it_is_full(disk, site):
    """Fills it; every plug is a transaction that must be on disk before it is answered."""
    with (disk / "filler").open("wb") as filler:
        try:
            while True:
                filler.write(bytes(65536))
        except OSError:
            pass
    for number in range(6):
        assert await site.chargers[5].plug_in(f"FULL-{number}") == "Accepted"
        await site.chargers[5].unplug()


async def test_a_full_disk_takes_transactions_and_recovers(small_disk, idle):
    idle.daemon.data = small_disk / "data"
    await idle.start()
    await idle.connect_all()
    assert await idle.chargers[4].plug_in("BEFORE") == "Accepted"
    await charge_though_it_is_full(small_disk, idle)
    await idle.daemon.sees("store.failed", "the disk is full: transactions are recorded",
                           timeout=60)
    status, body = health(idle.daemon)
    assert status == 503 and of(body, "store")["status"] == "failing", body
    assert figure(idle.daemon, "ampgate_store_full") == 1
    note(f"full disk: {of(body, 'store')['words']}, {of(body, 'disk')['words']}")
    # What was confirmed is there after a kill, though the disk is full.
    idle.daemon.kill()
    await idle.daemon.start()
    sessions = await idle.daemon.sessions()
    assert sum("EVSE-06" in line for line in sessions.splitlines()) == 6, sessions
    (small_disk / "filler").unlink()
    await until(lambda: health(idle.daemon)[0] == 200, 60, "it writes again", idle.daemon)
    await idle.chargers[6].reconnect()
    assert await idle.chargers[6].plug_in("AFTER") == "Accepted"


async def test_a_disk_that_has_room_again_is_told(small_disk, idle):
    idle.daemon.data = small_disk / "data"
    await idle.start()
    await idle.connect_all()
    await charge_though_it_is_full(small_disk, idle)
    await until(lambda: health(idle.daemon)[0] == 503, 60, "the disk is full", idle.daemon)
    (small_disk / "filler").unlink()
    await until(lambda: health(idle.daemon)[0] == 200, 60, "it writes again", idle.daemon)
    await idle.daemon.sees("store.works", "everything is written again")
