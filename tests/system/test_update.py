"""Updates of the box: RAUC itself on a bus of its own, a web server, a hawkBit double."""

import datetime
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from browser import Browser
from site_harness import note, until
from updates import COMPATIBLE, Box, HawkBit, Updated, Web


SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"


@pytest.fixture
async def updated(idle, tmp_path):
    folder = tmp_path / "box"
    folder.mkdir()
    box = Box(folder)
    yield Updated(idle, box)
    box.end()


@pytest.fixture
def hawkbit():
    server = HawkBit()
    yield server
    server.close()


@pytest.fixture
def web():
    server = Web({})
    yield server
    server.close()


async def test_a_file_is_installed_tried_and_confirmed(updated):
    await updated.start()
    charger = updated.site.chargers[0]
    await charger.connect()
    # Never updated, and still the boot loader hears that this start was none of a trial.
    told = updated.box.folder / "boot.A"
    await until(lambda: told.exists() and told.read_text().strip() == "good", 20,
                "slot A is marked good", updated.daemon)
    bundle = updated.box.bundle("2.0.0")
    assert "taken" in await updated.order("install", bundle)
    await updated.until("installed", "slot B")
    assert (updated.daemon.data / "update" / "trial").exists()
    assert updated.box.holds("2.0.0")
    await updated.daemon.sees("update.installed", "2.0.0")

    await updated.reboot()
    # Until its charger is back, the site does not work again.
    await updated.until("trial", "CP-01 not connected again")
    await charger.reconnect()
    view = await updated.until("confirmed", "2.0.0")
    assert (view["running"], view["least"]) == ("2.0.0", "2.0.0")
    await updated.daemon.sees("update.confirmed", "the site works with it")
    assert (updated.box.folder / "boot.B").read_text().strip() == "good"
    assert not (updated.daemon.data / "update" / "trial").exists()
    print(await updated.order("status"))

    again = await updated.order("rollback")
    assert "slot A" in again, again


async def test_what_does_not_fit_is_refused_in_words(updated):
    await updated.start()
    box = updated.box
    spoiled = box.bundle("2.1.0")
    content = bytearray(spoiled.read_bytes())
    content[len(content) // 2] ^= 1
    spoiled.write_bytes(content)
    cases = [(box.bundle("0.0.1"), "0.0.1 is older than 0.1.0, which runs here"),
             (box.bundle("2.0.0", compatible="another-box"), "it is for"),
             (box.bundle("3.0.0", signer="rogue"), "its signature is not trusted here"),
             (spoiled, "its signature is not trusted here")]
    for bundle, words in cases:
        await updated.order("install", bundle)
        view = await updated.until("failed", words)
        note(f"refused: {view['words']}")
        await updated.daemon.sees("update.failed", words)
    assert box.primary() == "A"
    assert "no such file" in (await updated.order("install", "/nowhere.raucb", code=1)).lower()
    said = await updated.order("install", "http://updates.example.org/x.raucb", code=1)
    assert "https" in said


async def test_a_version_that_does_not_work_is_rolled_back(updated):
    await updated.start("trial_min = 0.1")
    charger = updated.site.chargers[0]
    await charger.connect()
    await updated.order("install", updated.box.bundle("2.0.0"))
    await updated.until("installed")
    await updated.reboot()
    assert updated.box.slot == "B"
    charger.cut()
    await updated.until("trial", "is left (after 6 s: CP-01 not connected again)")
    state = updated.box.folder / "boot.B"
    await until(lambda: state.read_text().strip() == "bad", 20, "slot B is bad", updated.daemon)
    await updated.reboot()
    assert updated.box.slot == "A"
    await updated.until("rolled_back", "CP-01 not connected again")
    await updated.daemon.sees("update.rolled_back", "2.0.0 was left")
    await charger.reconnect()


async def test_it_waits_while_a_car_would_be_late_and_the_session_outlives_it(updated):
    await updated.start("pause_min = 5")
    site, charger = updated.site, updated.site.chargers[8]
    await site.connect_all()
    assert await charger.plug_in("TAG-1") == "Accepted"
    await until(lambda: 6 < charger.limit(), 60, "it charges", updated.daemon)
    await site.settled()
    transaction = charger.transaction.id
    leaves = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
    await updated.daemon.cli("prefer", "EVSE-09", "--kwh", "100", "--departure",
                             leaves.strftime("%Y-%m-%dT%H:%M:%SZ"))
    await updated.order("install", updated.box.bundle("2.0.0"))
    # Nobody loses by the writing; by a start of the box this car would.
    view = await updated.until("installed", "the start anew waits: EVSE-09 would miss ")
    note(view["words"])
    print(await updated.order("status"))
    assert not (updated.daemon.data / "update" / "reboot").exists()
    await updated.daemon.cli("prefer", "EVSE-09", "--kwh", "4", "--departure",
                             leaves.strftime("%Y-%m-%dT%H:%M:%SZ"))
    await updated.until("installed", "about to start anew")
    limit = charger.limit()
    assert 6 < limit, limit
    await updated.reboot()
    assert charger.limit() == limit, "its lease goes on while the box is away"
    for one in site.chargers:
        await one.reconnect()
    await updated.until("confirmed", timeout=60)
    assert charger.transaction.id == transaction
    await until(lambda: 6 < charger.limit(), 60, "it charges on", updated.daemon)


async def test_the_page_installs_shows_how_far_it_is_and_goes_back(updated, tmp_path):
    await updated.start()
    charger = updated.site.chargers[0]
    await charger.connect()
    (updated.box.folder / "hold").touch()
    bundle = updated.box.bundle("2.0.0")
    async with Browser(tmp_path / "profile", width=1400) as page:
        await page.load(updated.daemon.web_url)
        await page.says("no update is known")
        await page.fill("location", "/nowhere.raucb")
        await page.press("Install")
        await page.says("was not installed")
        await page.fill("location", str(bundle))
        await page.press("Install")
        # RAUC holds on before it writes: the page comes to show it by itself.
        await page.says("2.0.0 is written into the other slot")
        await page.photograph(tmp_path / "installing.png")
        (updated.box.folder / "hold").unlink()
        await page.says("2.0.0 is in slot B")
        await page.press("Roll back")
        await page.says("2.0.0 was left: a person gave it up before its first start")
        assert updated.box.primary() == "A"
        (updated.daemon.data / "update" / "reboot").unlink(missing_ok=True)

        window = f"{updated.clock(6)}-{updated.clock(8)}"
        updated.configure(f'window = "{window}"')
        await updated.daemon.stop()
        await updated.daemon.start()
        await charger.reconnect()
        await page.load(updated.daemon.web_url)
        await page.fill("location", str(updated.box.bundle("2.1.0")))
        await page.press("Install")
        await page.says("2.1.0 waits: it is ")
        await page.press("Cancel")
        await page.says("no update is known")
    await updated.until("idle")


async def test_the_window_is_kept(updated):
    later = [updated.clock(hours) for hours in (6, 8)]
    await updated.start(f'window = "{later[0]}-{later[1]}"')
    await updated.order("install", updated.box.bundle("2.0.0"))
    view = await updated.until("waiting", f"the window is {later[0]} to {later[1]}")
    note(f"waits: {view['words']}")
    await updated.order("cancel")
    await updated.until("idle")


async def test_a_download_that_was_cut_goes_on(updated, web):
    content = updated.box.bundle("2.0.0").read_bytes()
    web.files["two.raucb"] = content
    web.slow = True
    await updated.start()
    await updated.order("install", web.url("two.raucb"))
    await updated.until("downloading", more=lambda view: 20 <= (view["percent"] or 0))
    updated.daemon.kill()
    web.slow = False
    await updated.daemon.start()
    await updated.until("installed")
    first, second = web.ranges[0], web.ranges[1]
    assert first == 0 and len(content) // 10 < second < len(content), web.ranges
    note(f"the download went on at byte {second} of {len(content)}")
    assert updated.box.holds("2.0.0")
    left = [path.name for path in (updated.daemon.data / "update").glob("bundle-*")]
    assert left == [], left


async def killed_while_it_is_written(updated):
    """The daemon dies, and RAUC goes on writing until the file that is returned goes."""
    await updated.start()
    hold = updated.box.folder / "hold"
    hold.touch()
    await updated.order("install", updated.box.bundle("2.0.0"))
    await updated.until("installing")
    updated.daemon.kill()
    return hold


async def test_a_cut_while_it_is_written_goes_on(updated):
    hold = await killed_while_it_is_written(updated)
    await updated.daemon.start()
    # RAUC is writing still: it is followed, and not begun a second time.
    await updated.until("installing")
    hold.unlink()
    await updated.until("installed")
    assert updated.box.holds("2.0.0")


async def test_a_power_cut_while_it_is_written_begins_anew(updated):
    hold = await killed_while_it_is_written(updated)
    updated.box.rauc.kill()
    updated.box.stop()
    hold.unlink()
    await updated.box.start()
    await updated.daemon.start()
    await updated.until("installed")
    assert updated.box.holds("2.0.0")


async def test_too_large_and_absent_downloads_are_refused(updated, web):
    web.files["large.raucb"] = bytes(2 << 20)
    await updated.start("size_max_mb = 1")
    await updated.order("install", web.url("large.raucb"))
    await updated.until("failed", "update.size_max_mb allows 1")
    await updated.order("install", web.url("none.raucb"))
    await updated.until("failed", "there is nothing at this address (404)")


async def test_an_index_is_looked_at_by_itself(updated, web):
    content = updated.box.bundle("2.0.0").read_bytes()
    web.files["two.raucb"] = content
    bundles = [{"version": "2.0.0", "compatible": COMPATIBLE, "url": "two.raucb",
                "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)},
               {"version": "9.0.0", "compatible": "another-box", "url": "nine.raucb"}]
    web.files["index.json"] = json.dumps({"bundles": bundles}).encode()
    index = f'[update.index]\nurl = "{web.url("index.json")}"\nevery_h = 0.001\n'
    await updated.start(servers=index)
    await updated.until("installed", "2.0.0 is in slot B")
    await updated.reboot()
    await updated.until("confirmed")


async def test_hawkbit_rolls_a_version_out(updated, hawkbit, tmp_path):
    await updated.start(servers=hawkbit.settings(tmp_path))
    await until(lambda: hawkbit.attributes, 20, "the box says what it is", updated.daemon)
    assert hawkbit.attributes["compatible"] == COMPATIBLE
    assert hawkbit.attributes["site"] == "Test yard" and hawkbit.attributes["version"] == "0.1.0"
    hawkbit.assign("8", updated.box.bundle("2.0.0"))
    await updated.until("installed", "slot B")
    assert hawkbit.open == "8", "it is not over before it works"
    await updated.reboot()
    await updated.until("confirmed")
    await until(lambda: hawkbit.open is None, 20, "hawkBit is told the end", updated.daemon)
    said = hawkbit.of("8")
    note(f"hawkBit heard: {said}")
    assert said[0] == ("download", "none") and ("downloaded", "none") in said, said
    assert ("proceeding", "none") in said and said[-1] == ("closed", "success"), said
    assert hawkbit.refused == 0


async def test_hawkbit_hears_of_failures(updated, hawkbit, tmp_path):
    await updated.start("trial_min = 0.1", hawkbit.settings(tmp_path))
    charger = updated.site.chargers[0]
    await charger.connect()
    hawkbit.assign("8", updated.box.bundle("2.0.0", compatible="another-box"))
    await until(lambda: hawkbit.open is None, 30, "it is refused", updated.daemon)
    assert hawkbit.of("8")[-1] == ("closed", "failure")
    assert "another-box" in hawkbit.feedback[-1][1]["status"]["details"][0]

    hawkbit.assign("9", updated.box.bundle("2.0.0"))
    await updated.until("installed")
    await updated.reboot()
    charger.cut()
    await updated.until("trial", "is left")
    await updated.reboot()
    await until(lambda: hawkbit.open is None, 30, "the roll back is told", updated.daemon)
    assert hawkbit.of("9")[-1] == ("closed", "failure")
    details = hawkbit.feedback[-1][1]["status"]["details"][0]
    assert "CP-01 not connected again" in details, details
    await charger.reconnect()


async def test_hawkbit_takes_an_action_back(updated, hawkbit, tmp_path):
    await updated.start(servers=hawkbit.settings(tmp_path, "consent = true"))
    charger = updated.site.chargers[8]
    await updated.site.connect_all()
    assert await charger.plug_in("TAG-1") == "Accepted"
    await until(lambda: 6 < charger.limit(), 60, "it charges", updated.daemon)
    await updated.site.settled()
    leaves = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
    await updated.daemon.cli("prefer", "EVSE-09", "--kwh", "100", "--departure",
                             leaves.strftime("%Y-%m-%dT%H:%M:%SZ"))
    hawkbit.consent = True
    hawkbit.assign("8", updated.box.bundle("2.0.0"))
    await updated.until("installed", "EVSE-09 would miss")
    assert hawkbit.consent is False, "the box gave it"
    await until(lambda: ("scheduled", "none") in hawkbit.of("8"), 20, "it is told that it waits")
    hawkbit.cancelling = "8"
    await updated.until("rolled_back", "taken back by hawkBit")
    await until(lambda: updated.box.primary() == "A", 20, "slot A is first", updated.daemon)
    await until(lambda: hawkbit.of("cancel 8"), 20, "the end is told", updated.daemon)
    assert hawkbit.of("cancel 8") == [("closed", "success")]


async def test_without_rauc_it_says_so_and_the_site_goes_on(updated):
    updated.configure()
    await updated.site.start()
    await updated.until("idle", more=lambda view: any("RAUC" in words for words in view["trouble"]))
    said = await updated.order("install", updated.daemon.config, code=1)
    assert "RAUC does not answer" in said
    await updated.site.chargers[0].connect()
    await updated.box.start()
    await updated.until("idle", more=lambda view: view["slots"] and not view["trouble"])


async def test_only_root_and_the_daemon_may_talk_to_rauc(tmp_path):
    # The user of the daemon is not on every machine that runs this; another stands for it.
    policy = (SYSTEMD / "ampgate-rauc.conf").read_text().replace('"ampgate"', '"daemon"')
    box = Box(tmp_path, policy)
    await box.start()

    def ask(user):
        call = ["dbus-send", f"--bus={box.address}", "--print-reply", "--dest=de.pengutronix.rauc",
                "/", "de.pengutronix.rauc.Installer.GetPrimary"]
        user = ["setpriv", f"--reuid={user}", "--clear-groups"]
        done = subprocess.run([*user, *call], capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr

    await until(lambda: "rootfs.0" in ask("root"), 20, "root asks RAUC")
    assert "rootfs.0" in ask("daemon")
    assert "AccessDenied" in ask("nobody")
    box.end()


def test_the_units_around_an_update_are_sound(tmp_path):
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    around = ["sysinit.target", "basic.target", "multi-user.target", "shutdown.target",
              "timers.target", "paths.target"]
    for name in around:
        shutil.copy(Path("/usr/lib/systemd/system") / name, units)
    for program in ("bin/rm", "bin/sh", "bin/systemctl", "usr/bin/rauc"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", tmp_path / program)
    ours = [f"ampgate-{name}" for name in ("reboot.path", "reboot.service", "trial.timer",
                                           "trial.service")]
    for name in ours:
        shutil.copy(SYSTEMD / name, units)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", *ours],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "ampgate" not in done.stderr, done.stderr
