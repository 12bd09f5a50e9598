"""The whole way of an update in an emulated box: two systems, GRUB, RAUC with verity bundles, the
daemon, and power that goes. Made by cross/slots; run by `.ci/run slots`, because it takes long."""

import asyncio
import http.client
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from boot.emulator import WAIT, Emulator, connected
from charger import Charger
from site_harness import until

ROOT = Path(__file__).resolve().parents[2]
IMAGE = Path(os.environ.get("AMPGATE_SLOTS", ROOT / "target/cross/slots"))
FIRMWARE = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"

pytestmark = pytest.mark.skipif(not (IMAGE / "stick.img").exists(),
                                reason="cross/slots makes what is booted")


class Box:
    """A box with two systems, a stick with bundles in it, and a charger outside of it."""

    def __init__(self, folder):
        self.folder, self.disk, self.emulator = folder, folder / "disk.img", None
        # Holes stay holes: most of a slot is one.
        subprocess.run(["cp", "--sparse=always", IMAGE / "disk.img", self.disk], check=True)
        self.charger = Charger("CP-01", "", 1, 32.0)
        self.starts = 0

    async def switch_on(self, slot, version):
        self.starts += 1
        stick = f"{IMAGE}/stick.img,readonly=on"
        self.emulator = Emulator(self.folder / f"power-{self.starts}.log", ["-bios", FIRMWARE],
                                 [self.disk, stick], [9000, 8081])
        self.charger.url = f"ws://127.0.0.1:{self.emulator.ports[9000]}/ocpp"
        await self.emulator.says(f"slot {slot}, image {version}")

    def cut(self):
        """The power goes."""
        if self.emulator and self.emulator.process.poll() is None:
            self.emulator.note("the power is cut")
            self.emulator.cut()
        self.charger.cut()

    def ask(self, path, body=None):
        """What the API says, or None where nobody answers."""
        address = f"http://127.0.0.1:{self.emulator.ports[8081]}{path}"
        data = json.dumps(body).encode() if body else None
        try:
            with urllib.request.urlopen(address, data, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return {"refused": error.read().decode()}
        except (OSError, http.client.HTTPException):
            return None

    async def asked(self, path, fits=lambda said: True):
        """Waits for an answer that fits."""
        said, deadline = None, time.monotonic() + WAIT
        while time.monotonic() < deadline:
            said = await asyncio.to_thread(self.ask, path)
            if said is not None and fits(said):
                return said
            assert self.emulator.process.poll() is None, "the emulator ended"
            await asyncio.sleep(0.5)
        raise AssertionError(f"waited in vain for {path}: {said}\n{self.tail()}")

    def tail(self):
        return self.emulator.console.read_text(errors="replace")[-3000:]

    async def update(self, stage, words="", more=lambda view: True):
        """Waits for a stage of the update whose words hold these; notes and returns the view."""
        view = await self.asked("/api/v1/update", lambda view: view["stage"] == stage and
                                words in view["words"] and more(view))
        slots = "; ".join(f"slot {slot['name']} {slot['version'] or '?'}"
                          + (" runs" if slot["booted"] else "")
                          + (" first" if slot["first"] else "")
                          + (" good" if slot["good"] else " bad") for slot in view["slots"])
        self.emulator.note(f"{stage}: {view['words']} ({slots})")
        return view

    async def order(self, **order):
        """What a person at the page would order."""
        said = await asyncio.to_thread(self.ask, "/api/v1/update", order)
        assert said and "words" in said, said
        self.emulator.note(f"{' '.join(order.values())}: {said['words']}")

    async def install(self, name):
        await self.order(order="install", location=f"/media/{name}.raucb")

    async def written(self):
        """Waits until RAUC has written; the box may start anew at once."""
        begun = time.monotonic()
        await self.update("installing")
        while True:
            view = await asyncio.to_thread(self.ask, "/api/v1/update")
            if view is None or view["stage"] != "installing":
                break
            await asyncio.sleep(0.5)
        words = view["words"] if view else "the box has gone already"
        self.emulator.note(f"written in {time.monotonic() - begun:.0f} s: {words}")

    async def told(self, code, words):
        """Waits for an event."""
        def found(said):
            return [event["text"] for event in said["events"]
                    if event["code"] == code and words in event["text"]]
        said = await self.asked("/api/v1/events", found)
        self.emulator.note(f"{code} {found(said)[0]}")

    async def sessions(self):
        """Those that have ended, as they are on record."""
        said = await self.asked("/api/v1/sessions")
        return [(one["id"], one["transaction"], one["energy_wh"], one["started"], one["ended"])
                for one in said["sessions"] if one["ended"]]

    async def charge(self):
        """A session from its begin to its end."""
        assert await self.charger.plug_in("TAG-1") == "Accepted"
        await until(lambda: 4 < self.charger.energy(), 600, "it charges")
        transaction, stop = await self.charger.unplug()
        return transaction.id, stop - transaction.meter_start

    async def confirmed(self, version):
        """The charger finds the box again, as often as the emulator's network loses it, and the
        daemon confirms the version on trial by itself."""
        async def stay():
            while True:
                if not self.charger.online:
                    self.charger.cut()
                    await connected(self.charger, boot=False)
                await asyncio.sleep(0.5)

        await self.update("trial", "CP-01 not connected again")
        self.charger.cut()
        keeper = asyncio.create_task(stay())
        try:
            return await self.update("confirmed", version)
        finally:
            keeper.cancel()

    def disk_bytes(self):
        return self.disk.stat().st_blocks * 512

    def loader(self):
        """What GRUB will read, as it lies on the disk; nothing while it is being written."""
        text = subprocess.run(["mtype", "-i", f"{self.disk}@@1M", "::/grubenv"],
                              capture_output=True, text=True,
                              env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}).stdout
        return dict(line.split("=", 1) for line in text.splitlines()
                    if "=" in line and not line.startswith("#"))

    async def marked(self, **wanted):
        """Waits until the boot loader knows this."""
        known, deadline = None, time.monotonic() + WAIT
        while time.monotonic() < deadline:
            known = await asyncio.to_thread(self.loader)
            if all(known.get(name) == value for name, value in wanted.items()):
                words = " ".join(f'{name}="{value}"' for name, value in sorted(known.items()))
                return self.emulator.note(f"grubenv {words}")
            await asyncio.sleep(1)
        raise AssertionError(f"waited in vain for {wanted}, is {known}")


@pytest.fixture
async def box(tmp_path):
    box = Box(tmp_path)
    yield box
    box.cut()
    box.disk.unlink()


async def first_start(box):
    """Slot A as it comes from the factory; its start is marked good, a session is on record."""
    await box.switch_on("A", "1.0.0")
    assert "user ampgate" in await box.emulator.says("active")
    await box.update("idle", more=lambda view: view["slots"])
    await box.marked(A_OK="1", A_TRY="0")
    await connected(box.charger, boot=True)
    number, energy = await box.charge()
    [session] = await box.sessions()
    assert (session[1], round(session[2])) == (number, energy)
    return [session]


async def second_system(box, known):
    """2.0.0 is installed, the box starts anew with it, and the daemon confirms it by itself."""
    await box.install("ampgate-2.0.0")
    await box.written()
    await box.emulator.says("slot B, image 2.0.0")
    await box.emulator.says("active")
    view = await box.confirmed("2.0.0")
    assert (view["running"], view["least"]) == ("2.0.0", "2.0.0")
    await box.marked(ORDER="B A", B_OK="1", B_TRY="0")
    await box.told("update.confirmed", "the site works with it")
    assert await box.sessions() == known


async def test_a_version_is_tried_and_confirmed_and_one_that_fails_is_left(box):
    known = await first_start(box)
    await box.install("rogue-9.0.0")
    await box.update("failed", "its signature is not trusted here")
    await second_system(box, known)

    await box.install("ampgate-1.9.0")
    await box.update("failed", "1.9.0 is older than 2.0.0, which was confirmed here")

    await box.install("ampgate-3.0.0")
    await box.written()
    await box.emulator.says("slot A, image 3.0.0")
    await box.emulator.says("the daemon does not come up")
    await box.marked(ORDER="A B", A_OK="1", A_TRY="1", B_OK="1", B_TRY="0")
    # Somebody switches it off and on: GRUB has tried it once, and takes the other.
    box.cut()
    await box.switch_on("B", "2.0.0")
    await box.emulator.says("active")
    await box.update("rolled_back", "slot A did not come up, or this program did not run in it")
    await box.told("update.rolled_back", "3.0.0 was left")
    await box.marked(ORDER="B A", A_OK="0", B_OK="1", B_TRY="0")
    assert await box.sessions() == known


async def test_a_power_cut_while_it_is_written_leaves_the_old_one(box):
    known = await first_start(box)
    assert await box.charger.plug_in("TAG-2") == "Accepted"
    number, begun = box.charger.transaction.id, box.charger.transaction.meter_start
    before = box.disk_bytes()
    await box.install("ampgate-2.0.0")
    await box.update("installing")
    # The file behind the disk grows with what is written.
    await until(lambda: 32 << 20 < box.disk_bytes() - before, 900, "much is written")
    await box.marked(ORDER="A B", A_OK="1", A_TRY="0", B_OK="0")
    box.cut()

    await box.switch_on("A", "1.0.0")
    await box.emulator.says("active")
    assert await box.sessions() == known
    await connected(box.charger, boot=False)
    transaction, stop = await box.charger.unplug()
    assert transaction.id == number
    known = await box.sessions()
    assert [(one[1], round(one[2])) for one in known if one[1] == number] == \
        [(number, stop - begun)]
    box.emulator.note(f"transaction {number} ended with {stop - begun} Wh, as the car has counted")
    # The update was written from the beginning meanwhile.
    await box.emulator.says("slot B, image 2.0.0")
    await box.emulator.says("active")
    await box.confirmed("2.0.0")
    await box.marked(ORDER="B A", B_OK="1", B_TRY="0")
    assert await box.sessions() == known


async def test_a_version_in_which_the_daemon_does_not_run_is_left_by_the_timer(box):
    known = await first_start(box)
    await box.install("ampgate-3.1.0")
    await box.written()
    await box.emulator.says("slot B, image 3.1.0")
    await box.emulator.says("the daemon does not come up")
    # Nobody touches it: ampgate-trial.timer goes back, in this image after four minutes.
    await box.emulator.says("slot A, image 1.0.0")
    await box.emulator.says("active")
    await box.update("rolled_back", "slot B did not come up, or this program did not run in it")
    await box.marked(ORDER="A B", A_OK="1", A_TRY="0", B_OK="0")
    await box.told("update.rolled_back", "3.1.0 was left")
    assert await box.sessions() == known


async def test_power_that_goes_while_it_starts_leads_back_and_that_is_told(box):
    known = await first_start(box)
    await second_system(box, known)
    box.cut()
    # GRUB counts a start as a try until the daemon says that it was good.
    await box.switch_on("B", "2.0.0")
    await box.marked(ORDER="B A", B_OK="1", B_TRY="1")
    box.cut()
    await box.switch_on("A", "1.0.0")
    await box.emulator.says("active")
    await box.update("rolled_back", "2.0.0 was left: the boot loader took slot A")
    assert await box.sessions() == known

    await box.order(order="rollback")
    await box.emulator.says("slot B, image 2.0.0")
    await box.update("confirmed", "2.0.0")
    await box.marked(ORDER="B A", B_OK="1", B_TRY="0")
    assert await box.sessions() == known
