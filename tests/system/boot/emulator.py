"""A box that is emulated: qemu-system-aarch64, what its console says, and its power."""

import asyncio
import subprocess
import time

from charger import PATIENCE
from site_harness import free_port, note

WAIT = 900 * PATIENCE  # s; an emulated box is slow


class Emulator:
    """One run of the emulator: from power on to power off."""

    def __init__(self, console, start, disks, ports):
        """`start` says what is started, `disks` are written to unless they are `readonly=on`,
        `ports` are those of the box; `self.ports` has where they are found on this machine."""
        self.console, self.heard = console, 0
        self.ports = {port: free_port() for port in ports}
        self.began = time.monotonic()
        forward = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{port}"
                          for port, here in self.ports.items())
        drives = []
        for number, disk in enumerate(disks):
            drives += ["-drive", f"if=none,id=d{number},format=raw,cache=unsafe,file={disk}",
                       "-device", f"virtio-blk-pci,drive=d{number}"]
        self.process = subprocess.Popen([
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024",
            "-accel", "tcg,thread=multi", "-nographic", "-nodefaults",
            "-serial", f"file:{self.console}", *start, *drives,
            "-netdev", f"user,id=n0{forward}",
            "-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci",
        ], stdin=subprocess.DEVNULL)

    def note(self, text):
        note(f"[{time.monotonic() - self.began:.0f} s] {text}")

    async def says(self, words):
        """Waits for the next line of the witness inside that has these words; returns it."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            text = self.console.read_text(errors="replace") if self.console.exists() else ""
            lines = text.splitlines(keepends=True)
            for number, line in enumerate(lines[self.heard:], self.heard):
                if "WITNESS" in line and words in line and line.endswith("\n"):
                    self.heard = number + 1
                    said = line.split("WITNESS", 1)[1].strip()
                    self.note(said)
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
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            return await asyncio.wait_for(charger.connect(boot=boot), 10)
        except Exception:  # refused, reset or silent: whatever the emulator makes of it
            charger.cut()
            await asyncio.sleep(0.5)
    raise AssertionError("the box never took the charger")
