"""Files that chargers upload, and a firmware campaign, with an independent client."""

import asyncio
import json
import urllib.error
import urllib.request

from ocpp.routing import on
from ocpp.v16 import call, call_result

import charger as bench
from site_harness import until


class Link(bench.Link):
    """A charger that uploads its diagnostics and installs firmware."""

    @on("GetDiagnostics")
    def get_diagnostics(self, location, **_):
        self.charger.location = location
        return call_result.GetDiagnostics(file_name="diag.zip")

    @on("UpdateFirmware")
    def update_firmware(self, location, retrieve_date, **_):
        self.charger.firmware = location
        return call_result.UpdateFirmware()


def put(url, body, method="PUT"):
    request = urllib.request.Request(url, body, method=method)
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code


async def test_diagnostics_come_to_this_box(site, tmp_path):
    charger, cli = site.chargers[0], site.daemon.cli
    charger.link_type = Link
    await charger.connect()
    await cli("remote", "diagnostics", "EVSE-01")
    port = site.daemon.ports["ocpp"]
    assert charger.location.startswith(f"http://127.0.0.1:{port}/upload/"), charger.location
    body = bytes(range(256)) * 4000
    assert await asyncio.to_thread(put, charger.location + "diag.zip", body) == 201
    assert await asyncio.to_thread(put, charger.location + "diag.zip", b"x") == 404, "used up"
    assert await asyncio.to_thread(put, f"http://127.0.0.1:{port}/upload/guess/x", b"x") == 404
    await site.daemon.sees("charger.job", "CP-01", "diag.zip")
    [file] = json.loads(await cli("uploads", "list", "--json"))["uploads"]
    assert file["bytes"] == len(body) and file["name"] in await cli("uploads", "list")
    got = tmp_path / "got.zip"
    await cli("uploads", "get", file["name"], "--out", str(got))
    assert got.read_bytes() == body
    page = urllib.request.urlopen(f"{site.daemon.web_url}/uploads", timeout=10).read().decode()
    assert file["name"] in page
    await cli("uploads", "delete", file["name"])
    assert json.loads(await cli("uploads", "list", "--json"))["uploads"] == []


async def shows(daemon, words):
    """Waits until the campaigns, as people are shown them, say this."""
    told = ""
    for _ in range(100):
        told = await daemon.cli("firmware", "status")
        if words in told:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited in vain for {words!r}: {told}")


async def test_a_firmware_campaign_goes_on_after_a_restart(site):
    first, second = site.chargers[0], site.chargers[1]
    first.link_type = second.link_type = Link
    first.firmware = second.firmware = None
    await first.connect()
    url = "http://127.0.0.1/fw.bin"
    assert "campaign 1" in await site.daemon.cli("firmware", "start", url, "CP-01", "CP-02")
    await until(lambda: first.firmware == url, 30, "the first is asked", site.daemon)
    await shows(site.daemon, "it is not connected")
    site.daemon.kill()
    first.cut()
    await site.daemon.start()
    first.firmware = None
    await first.connect(boot=False)
    await first.link.call(call.FirmwareStatusNotification(status="Installed"))
    await site.daemon.sees("firmware.campaign", "CP-01")
    await second.connect()
    await until(lambda: second.firmware == url, 30, "the second has its turn", site.daemon)
    assert first.firmware is None, "nobody is asked twice"
    await second.link.call(call.FirmwareStatusNotification(status="InstallationFailed"))
    await site.daemon.sees("firmware.failed", "CP-02", "InstallationFailed")
    await shows(site.daemon, "1 of 2 done, 1 failed, over")
