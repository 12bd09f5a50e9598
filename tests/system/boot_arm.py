"""The box itself, emulated: an arm64 Debian with the package, systemd and its watchdog, a charger
outside of it, and a power cut. Made by cross/image; run by `.ci/run boot`, because it takes minutes."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from charger import Charger
from site_harness import free_port, note

ROOT = Path(__file__).resolve().parents[2]
IMAGE = Path(os.environ.get("AMPGATE_IMAGE", ROOT / "target/cross/boot"))
PATIENCE = float(os.environ.get("AMPGATE_PATIENCE", 900))  # an emulated box is slow


class Box:
    """One run of the emulator."""

    def __init__(self, folder, disk, story):
        self.console, self.port = folder / f"{story}.log", free_port()
        self.began = time.monotonic()
        self.process = subprocess.Popen([
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024",
            "-accel", "tcg,thread=multi", "-nographic", "-nodefaults", "-no-reboot",
            "-serial", f"file:{self.console}",
            "-kernel", IMAGE / "vmlinuz", "-initrd", IMAGE / "initrd.gz",
            "-append", "console=ttyAMA0 root=/dev/vda rw loglevel=4 "
                       f"systemd.default_timeout_start_sec=400s story={story}",
            "-drive", f"if=none,id=d0,format=raw,file={disk},cache=unsafe",
            "-device", "virtio-blk-pci,drive=d0",
            "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{self.port}-:9000",
            "-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci",
        ], stdin=subprocess.DEVNULL)

    async def says(self, words):
        """Waits for a line of the witness inside; returns it."""
        while time.monotonic() < self.began + PATIENCE:
            text = self.console.read_text(errors="replace") if self.console.exists() else ""
            for line in text.splitlines():
                if "WITNESS" in line and words in line:
                    said = line.split("WITNESS", 1)[1].strip()
                    note(f"[{time.monotonic() - self.began:.0f} s] {said}")
                    return said
            assert self.process.poll() is None, f"the emulator ended:\n{text[-3000:]}"
            await asyncio.sleep(0.5)
        raise AssertionError(f"waited in vain for {words!r}:\n{text[-3000:]}")

    def cut(self):
        """The power goes."""
        self.process.kill()
        self.process.wait()


async def connected(charger, boot):
    """The link through the emulator's network; it takes connections before the box listens."""
    for _ in range(600):
        try:
            return await asyncio.wait_for(charger.connect(boot=boot), 10)
        except Exception:  # refused, reset or silent: whatever the emulator makes of it
            charger.cut()
            await asyncio.sleep(0.5)
    raise AssertionError("the box never took the charger")


@pytest.mark.skipif(not (IMAGE / "disk.img").exists(), reason="cross/image makes what is booted")
async def test_a_box_that_hangs_is_restarted_and_a_power_cut_loses_nothing(tmp_path):
    disk = tmp_path / "disk.img"
    shutil.copyfile(IMAGE / "disk.img", disk)
    box = Box(tmp_path, disk, "first")
    charger = Charger("CP-01", f"ws://127.0.0.1:{box.port}/ocpp", 1, 32.0)
    try:
        assert "aarch64" in await box.says("active")
        assert "user ampgate" in await box.says("restarts 0")
        await connected(charger, boot=True)
        note(f"[{time.monotonic() - box.began:.0f} s] first charger accepted")
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
    box = Box(tmp_path, disk, "second")
    charger.url = f"ws://127.0.0.1:{box.port}/ocpp"
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
        note(f"[{time.monotonic() - box.began:.0f} s] powered off in order")
    finally:
        box.cut()
        charger.cut()
