"""Fixtures: the program, a broker of its own, and a fresh site for each test."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from site_harness import NOTES, Site, free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def binary():
    """The program under test: AMPGATE_BIN, or the release build."""
    path = Path(os.environ.get("AMPGATE_BIN", ROOT / "target" / "release" / "ampgate"))
    assert path.exists(), f"{path} is not there: cargo build --release"
    return path


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """Port of a mosquitto of this test run alone."""
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    assert program, "mosquitto is not installed"
    port, folder = free_port(), tmp_path_factory.mktemp("broker")
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    log = (folder / "log").open("wb")
    process = subprocess.Popen([program, "-c", config], stdout=log, stderr=log)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture
async def idle(binary, broker, tmp_path):
    """A site that has not been started."""
    site = Site(binary, tmp_path, broker)
    yield site
    faults = await site.finish()
    assert not faults, "\n".join(faults)


@pytest.fixture
async def site(idle):
    """A site whose daemon runs; no charger is connected."""
    await idle.start()
    return idle


def pytest_terminal_summary(terminalreporter):
    if NOTES:
        terminalreporter.section("measured")
        for line in NOTES:
            terminalreporter.write_line(line)
