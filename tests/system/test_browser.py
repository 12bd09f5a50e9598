"""The page of `ampgate demo` in a real browser."""

import shutil
import signal
import subprocess
import time

import pytest

from site_harness import free_port, get

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--window-size=1400,1800"]


@pytest.fixture(scope="module")
def demo(binary, tmp_path_factory):
    """Address of a demo that runs at 60 times the speed of life."""
    port, folder = free_port(), tmp_path_factory.mktemp("demo")
    log = (folder / "log").open("wb")
    process = subprocess.Popen([binary, "demo", "--speed", "60", "--port", str(port)],
                               cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        assert process.poll() is None, (folder / "log").read_text()
        try:
            if get(f"{url}/healthz")[0] == 200:
                break
        except OSError:
            pass
        time.sleep(0.1)
    time.sleep(5)  # five simulated minutes: cars arrive
    yield url
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def browse(url, folder, *flags):
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "chromium is not installed"
    done = subprocess.run([program, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, url],
                          capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.stdout.decode()


def test_the_page_of_the_demo_shows_every_evse(demo, tmp_path):
    page = browse(demo, tmp_path, "--timeout=4000", "--dump-dom")
    missing = [number for number in range(1, 13) if f"EVSE-{number:02d}" not in page]
    assert not missing, f"no EVSE {missing} in {len(page)} characters of page"


def test_the_page_of_the_demo_can_be_photographed(demo, tmp_path):
    picture = tmp_path / "demo.png"
    browse(demo, tmp_path, "--timeout=4000", f"--screenshot={picture}")
    print(f"{picture}: {picture.stat().st_size} bytes")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 20_000 < picture.stat().st_size, "not an empty page"
