"""The box itself, emulated: an arm64 Debian with the package, systemd and its watchdog, a charger
outside of it, and a power cut. Made by cross/image; run by `.ci/run boot`, part of `.ci/run`."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from boot.emulator import Emulator, connected
from charger import Charger

ROOT = Path(__file__).resolve().parents[2]
IMAGE = Path(os.environ.get("AMPGATE_IMAGE", ROOT / "target/cross/boot"))


def started(folder, disk, story):
    """The box with this disk; the witness inside plays a story."""
    words = "console=ttyAMA0 root=/dev/vda rw loglevel=4 systemd.default_timeout_start_sec=400s"
    kernel = ["-no-reboot", "-kernel", IMAGE / "vmlinuz", "-initrd", IMAGE / "initrd.gz",
              "-append", f"{words} story={story}"]
    return Emulator(folder / f"{story}.log", kernel, [disk], [9000])


@pytest.mark.skipif(not (IMAGE / "disk.img").exists(), reason="cross/image makes what is booted")
async def test_a_box_that_hangs_is_restarted_and_a_power_cut_loses_nothing(tmp_path):
    disk = tmp_path / "disk.img"
    shutil.copyfile(IMAGE / "disk.img", disk)
    box = started(tmp_path, disk, "first")
    charger = Charger("CP-01", f"ws://127.0.0.1:{box.ports[9000]}/ocpp", 1, 32.0)
    try:
        assert "aarch64" in await box.says("active")
        assert "user ampgate" in await box.says("restarts 0")
        await connected(charger, boot=True)
        box.note("first charger accepted")
        assert await charger.plug_in("TAG-1") == "Accepted"
        number = charger.transaction.id
        await box.says("charging")
        # The control loop stands still: nothing but systemd's watchdog helps.
        await box.says("restarted by the watchdog")
        charger.cut()
        await connected(charger, boot=False)
        await box.says("charging again")
        await charger.send_meter_values()
        await asyncio.sleep(2)
    finally:
        box.cut()
        charger.cut()
    box = started(tmp_path, disk, "second")
    charger.url = f"ws://127.0.0.1:{box.ports[9000]}/ocpp"
    try:
        await box.says("active")
        await connected(charger, boot=False)
        transaction, stop = await charger.unplug()
        assert transaction.id == number
        told = await box.says("sessions")
        [session] = json.loads(told.removeprefix("sessions "))["sessions"]
        assert session["transaction"] == number
        assert round(session["energy_wh"]) == stop - transaction.meter_start
        await box.says("store")
        assert "success" in await box.says("stopped")
        await asyncio.to_thread(box.process.wait, 120)
        box.note("powered off in order")
    finally:
        box.cut()
        charger.cut()
