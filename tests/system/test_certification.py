"""The cases of the Open Charge Alliance's test tool for a Central System, by their numbers, played
with an independent client. docs/certification.md lists them; the security cases are in
test_security.py. Every frame is checked against the official schemas when a test ends."""

import asyncio
import json
import subprocess
import time

import pytest
from ocpp.v16 import call

from charger import utc_text
from site_harness import configuration, until
from station import Station
from test_orders import post

ACCESS = 'tokens = ["TAG-1"]'
TOKENS = """
[[token]]
id = "FLEET-1"
group = "FLEET"

[[token]]
id = "FLEET-2"
group = "FLEET"

[[token]]
id = "OLD"
valid_until = "2019-01-01T00:00:00Z"

[[token]]
id = "LOST"
blocked = true
"""


@pytest.fixture
async def station(idle):
    """A charge point that can do everything, connected to a site that knows some tokens."""
    idle.daemon.config.write_text(configuration(idle.daemon.ports, access=ACCESS) + TOKENS)
    await idle.start()
    one = Station("CP-01", idle.daemon.ocpp_url)
    one.rated, one.wiring, one.on_change = 16.0, ["L1"], idle.audit
    one.site, idle.chargers[0] = idle, one
    await one.connect()
    return one


async def ask(station, *words):
    """Exit code and text of a command; 1 says that the charger refused."""
    daemon = station.site.daemon
    done = await asyncio.to_thread(
        subprocess.run, [daemon.binary, *words, "--url", daemon.web_url],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode in (0, 1), f"{words}: {done.stdout}{done.stderr}"
    return done.returncode, done.stdout + done.stderr


async def accepted(station, *words):
    code, text = await ask(station, *words)
    assert code == 0, text
    return text


async def refused(station, *words):
    code, text = await ask(station, *words)
    assert code == 1, text
    return text


async def sessions(station):
    text = await station.site.daemon.cli("sessions", "--json")
    return [one for one in json.loads(text)["sessions"] if one["evse"] == "EVSE-01"]


async def ended(station, reason):
    """Waits until the newest session has ended for this reason."""
    async def look():
        found = await sessions(station)
        return found and found[0]["reason"] == reason
    await until(look, 10, f"the session has ended: {reason}", station.site.daemon)


# ---- core ------------------------------------------------------------------------------------


async def test_tc_001_cold_boot(station):
    await station.site.daemon.sees("charger.booted", "CP-01")
    assert (await station.heartbeat()).current_time.endswith("Z")
    assert station.calls("GetConfiguration"), "it is asked what it can do"


async def test_tc_003_a_session_cable_first(station):
    await station.say("Preparing")
    assert await station.authorize("TAG-1") == "Accepted"
    assert await station.plug_in("TAG-1") == "Accepted"
    await station.send_meter_values()
    await station.say("SuspendedEV")
    await station.say("Finishing")
    await station.unplug("Local")
    await ended(station, "Local")


async def test_tc_004_1_a_session_token_first(station):
    assert await station.authorize("TAG-1") == "Accepted"
    assert await station.plug_in("TAG-1") == "Accepted"
    assert 0 < station.transaction.id
    assert len(await sessions(station)) == 1


async def test_tc_004_2_token_first_no_cable_in_time(station):
    assert await station.authorize("TAG-1") == "Accepted"
    await station.say("Preparing")
    await station.say("Available")
    assert await sessions(station) == []


async def test_tc_005_1_the_car_ends_the_session(station):
    await station.plug_in("TAG-1")
    await station.say("SuspendedEV")
    await station.unplug("EVDisconnected")
    await ended(station, "EVDisconnected")


async def test_tc_007_a_start_with_a_cached_token(station):
    assert await station.plug_in("TAG-1") == "Accepted", "no Authorize came before"
    answer = [frame.parts for frame in station.frames if not frame.sent and frame.parts[0] == 3
              and "transactionId" in frame.parts[2]][-1]
    assert answer[2]["idTagInfo"]["status"] == "Accepted"


async def test_tc_010_remote_start_cable_first(station):
    await station.say("Preparing")
    await accepted(station, "remote", "start", "EVSE-01", "--token", "TAG-1")
    assert station.calls("RemoteStartTransaction")[-1] == {"connectorId": 1, "idTag": "TAG-1"}
    assert await station.authorize(station.asked_for) == "Accepted"
    assert await station.plug_in(station.asked_for) == "Accepted"
    await until(station.tx_profiles, 20, "it gets its limit", station.site.daemon)


async def test_tc_011_1_remote_start_then_the_cable(station):
    await accepted(station, "remote", "start", "EVSE-01", "--token", "TAG-1")
    assert await station.authorize(station.asked_for) == "Accepted"
    await station.say("Preparing")
    assert await station.plug_in(station.asked_for) == "Accepted"


async def test_tc_011_2_remote_start_no_cable_in_time(station):
    await accepted(station, "remote", "start", "EVSE-01", "--token", "TAG-1")
    await station.say("Preparing")
    await station.say("Available")
    assert await sessions(station) == []
    assert await station.plug_in("TAG-1") == "Accepted", "and is free for the next"


async def test_tc_012_remote_stop(station):
    await station.plug_in("TAG-1")
    number = station.transaction.id
    await accepted(station, "remote", "stop", "EVSE-01")
    assert station.calls("RemoteStopTransaction")[-1] == {"transactionId": number}
    await ended(station, "Remote")


@pytest.mark.parametrize("kind", ["Hard", "Soft"])
async def test_tc_013_and_014_hard_and_soft_reset(station, kind):
    await station.plug_in("TAG-1")
    began = time.monotonic()
    words = ["--hard"] if kind == "Hard" else []
    await accepted(station, "remote", "reset", "CP-01", *words)
    assert station.calls("Reset")[-1] == {"type": kind}
    await ended(station, f"{kind}Reset")
    booted = lambda: any(frame.sent and frame.is_call("BootNotification") and began < frame.at
                         for frame in station.frames)
    await until(booted, 10, "it boots again", station.site.daemon)
    assert await station.plug_in("TAG-1") == "Accepted"


async def test_tc_017_1_unlock_without_a_session_loose_cable(station):
    assert "open" in await accepted(station, "remote", "unlock", "EVSE-01")
    assert station.calls("UnlockConnector")[-1] == {"connectorId": 1}


async def test_tc_017_2_unlock_without_a_session_fixed_cable(station):
    station.says["UnlockConnector"] = "NotSupported"
    assert "no lock" in await refused(station, "remote", "unlock", "EVSE-01")


async def test_tc_018_1_unlock_during_a_session(station):
    await station.plug_in("TAG-1")
    await accepted(station, "remote", "unlock", "EVSE-01")
    await ended(station, "UnlockCommand")


async def test_tc_019_1_read_all_configuration_keys(station):
    text = await accepted(station, "remote", "get", "CP-01")
    assert station.calls("GetConfiguration")[-1] in ({}, {"key": []})
    assert "HeartbeatInterval" in text and "SupportedFeatureProfiles" in text


async def test_tc_019_2_read_one_configuration_key(station):
    text = await accepted(station, "remote", "get", "CP-01", "SupportedFeatureProfiles")
    assert station.calls("GetConfiguration")[-1] == {"key": ["SupportedFeatureProfiles"]}
    assert "SmartCharging" in text


async def test_tc_021_set_a_configuration_key(station):
    await accepted(station, "remote", "set", "CP-01", "ConnectionTimeOut", "90")
    assert station.configuration["ConnectionTimeOut"] == "90"


@pytest.mark.parametrize("token,status", [
    ("NOBODY", "Invalid"), ("OLD", "Expired"), ("LOST", "Blocked")])
async def test_tc_023_tokens_that_may_not_charge(station, token, status):
    """TC_023_1, TC_023_2 and TC_023_3."""
    await station.say("Preparing")
    assert await station.authorize(token) == status
    await station.site.daemon.sees("token.refused", "CP-01")
    assert await station.plug_in(token) == status, "nor past the question"


async def test_tc_024_the_lock_of_the_connector_fails(station):
    assert await station.authorize("TAG-1") == "Accepted"
    await station.say("Preparing")
    await station.say("Faulted", "ConnectorLockFailure")
    await station.site.daemon.sees("charger.fault", "EVSE-01", "ConnectorLockFailure")


async def test_tc_026_remote_start_refused(station):
    station.says["RemoteStartTransaction"] = "Rejected"
    text = await refused(station, "remote", "start", "EVSE-01", "--token", "TAG-1")
    assert "refused" in text


async def test_tc_028_remote_stop_refused(station):
    await station.plug_in("TAG-1")
    station.says["RemoteStopTransaction"] = "Rejected"
    text = await refused(station, "remote", "stop", "EVSE-01", "--transaction", "77")
    assert "refused" in text and station.transaction


async def test_tc_030_the_lock_does_not_open(station):
    station.says["UnlockConnector"] = "UnlockFailed"
    assert "did not open" in await refused(station, "remote", "unlock", "EVSE-01")


async def test_tc_031_unlock_of_an_unknown_connector(station):
    code, text = await ask(station, "remote", "unlock", "EVSE-99")
    assert code == 1 and "EVSE-99" in text
    assert not station.calls("UnlockConnector"), "the charger is not bothered"


async def test_tc_032_1_boot_after_a_power_failure_sessions_end(station):
    await station.plug_in("TAG-1")
    running, at = station.transaction, round(station.energy())
    station.cut()
    station.transaction = None
    await station.connect()
    await station.link.call(call.StopTransaction(
        meter_stop=at, timestamp=utc_text(), transaction_id=running.id, reason="PowerLoss"))
    await ended(station, "PowerLoss")


async def begun_offline(station, token):
    """The answer to a StartTransaction that waited ten minutes in the charger."""
    station.cut()
    await station.connect(boot=False)
    answer = await station.link.call(call.StartTransaction(
        connector_id=1, id_tag=token, meter_start=1000, timestamp=utc_text(time.time() - 600)))
    assert 0 < answer.transaction_id
    return answer


async def test_tc_037_1_start_while_offline_token_valid(station):
    answer = await begun_offline(station, "TAG-1")
    assert answer.id_tag_info["status"] == "Accepted"


async def test_tc_037_3_start_while_offline_token_invalid(station):
    answer = await begun_offline(station, "NOBODY")
    assert answer.id_tag_info["status"] == "Invalid"
    await station.link.call(call.StopTransaction(
        meter_stop=1200, timestamp=utc_text(), transaction_id=answer.transaction_id,
        reason="DeAuthorized"))
    await ended(station, "DeAuthorized")


async def test_tc_039_a_whole_session_while_offline(station):
    station.cut()
    now = time.time()
    station.offline_session("TAG-1", now - 3600, now - 600, 4000)
    await station.reconnect()
    await ended(station, "Local")
    [session] = await sessions(station)
    assert round(session["energy_wh"]) == 4000


async def test_tc_040_1_an_unknown_configuration_key(station):
    text = await refused(station, "remote", "set", "CP-01", "NoSuchKey", "1")
    assert "does not know" in text


async def test_tc_040_2_a_value_that_is_refused(station):
    text = await refused(station, "remote", "set", "CP-01", "NumberOfConnectors", "9")
    assert "read only" in text


@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_tc_061_clear_the_authorization_cache(station, status):
    station.says["ClearCache"] = status
    code, text = await ask(station, "remote", "clear-cache", "CP-01")
    assert (code, bool(text.strip())) == (0 if status == "Accepted" else 1, True)


async def test_tc_064_data_transfer_from_a_charger(station):
    answer = await station.link.call(call.DataTransfer(
        vendor_id="com.example", message_id="hello", data="anything"))
    assert answer.status == "UnknownVendorId"


# ---- local authorization list ----------------------------------------------------------------


async def list_is(station, version):
    await until(lambda: station.list_version == version, 30, f"list {version}",
                station.site.daemon)


async def test_tc_042_1_version_of_a_list_that_is_not_kept(station):
    station.list_version = -1
    assert "-1" in await accepted(station, "remote", "list-version", "CP-01")


async def test_tc_042_2_and_043_4_an_empty_list_is_filled(station):
    await list_is(station, 1)
    [message] = station.calls("SendLocalList")
    assert message["updateType"] in ("Full", "Differential") and message["listVersion"] == 1
    told = {entry["idTag"]: entry["idTagInfo"]["status"]
            for entry in message["localAuthorizationList"] if "idTagInfo" in entry}
    assert told["TAG-1"] == told["FLEET-1"] == "Accepted"
    assert told.get("LOST") != "Accepted" and told.get("OLD") != "Accepted"
    assert "1" in await accepted(station, "remote", "list-version", "CP-01")


@pytest.mark.parametrize("status", ["NotSupported", "Failed"])
async def test_tc_043_1_and_3_a_list_is_refused(station, status):
    await list_is(station, 1)
    station.says["SendLocalList"] = status
    daemon = station.site.daemon
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('tokens = ["TAG-1"]', 'tokens = ["TAG-1", "TAG-2"]'))
    daemon.reload()
    if status == "Failed":
        await daemon.sees("list.refused", "CP-01", timeout=40)
        asked = 3  # what differs, and once all of it
    else:
        asked = 2  # a charger that keeps no lists is left alone
    await until(lambda: len(station.calls("SendLocalList")) == asked, 20, "it is asked", daemon)
    assert await station.authorize("TAG-2") == "Accepted", "it is served while it can ask"


async def test_tc_043_5_a_differential_list(station):
    await list_is(station, 1)
    daemon = station.site.daemon
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('tokens = ["TAG-1"]', 'tokens = ["TAG-2"]'))
    daemon.reload()
    await list_is(station, 2)
    message = station.calls("SendLocalList")[-1]
    assert message["updateType"] == "Differential"
    entries = {entry["idTag"]: entry.get("idTagInfo") for entry in
               message["localAuthorizationList"]}
    assert entries["TAG-2"]["status"] == "Accepted" and entries["TAG-1"] is None


# ---- firmware and diagnostics ------------------------------------------------------------------


@pytest.mark.parametrize("states,event", [
    (("Downloading", "Downloaded", "Installing", "Installed"), "charger.job"),
    (("Downloading", "DownloadFailed"), "charger.job_failed"),
    (("Downloading", "Downloaded", "Installing", "InstallationFailed"), "charger.job_failed"),
])
async def test_tc_044_firmware(station, states, event):
    """TC_044_1, TC_044_2 and TC_044_3."""
    await accepted(station, "remote", "firmware", "CP-01", "http://127.0.0.1/fw.bin")
    [message] = station.calls("UpdateFirmware")
    assert message["location"] == "http://127.0.0.1/fw.bin" and "retrieveDate" in message
    await station.firmware(*states)
    await station.site.daemon.sees(event, "CP-01", states[-1])


@pytest.mark.parametrize("states,event", [
    (("Uploading", "Uploaded"), "charger.job"),
    (("Uploading", "UploadFailed"), "charger.job_failed"),
])
async def test_tc_045_diagnostics(station, states, event):
    """TC_045_1 and TC_045_2."""
    await accepted(station, "remote", "diagnostics", "CP-01", "http://127.0.0.1/up")
    [message] = station.calls("GetDiagnostics")
    assert message["location"] == "http://127.0.0.1/up"
    await station.diagnostics(*states)
    await station.site.daemon.sees(event, "CP-01", states[-1])


# ---- reservations ------------------------------------------------------------------------------


async def reserve(station, token, *more, where="EVSE-01"):
    return await accepted(
        station, "reserve", where, "--token", token, "--minutes", "30", *more)


async def test_tc_046_a_reserved_connector_is_used(station):
    assert "kept by the charger" in await reserve(station, "TAG-1")
    [message] = station.calls("ReserveNow")
    assert message["connectorId"] == 1 and message["idTag"] == "TAG-1"
    await station.say("Reserved")
    answer = await station.link.call(call.StartTransaction(
        connector_id=1, id_tag="TAG-1", meter_start=1000, timestamp=utc_text(),
        reservation_id=station.reserved))
    assert answer.id_tag_info["status"] == "Accepted"
    await station.site.daemon.sees("reservation.ended", "used by transaction")


async def test_tc_047_a_reservation_runs_out(station):
    soon = utc_text(time.time() + 4)
    await accepted(station, "reserve", "EVSE-01", "--token", "TAG-1", "--until", soon)
    await station.say("Reserved")
    await station.site.daemon.sees("reservation.ended", "not used", timeout=30)
    await station.say("Available")
    assert await station.plug_in("FLEET-1") == "Accepted", "free for others"


@pytest.mark.parametrize("status,words", [
    ("Faulted", "broken"), ("Occupied", "in use"), ("Unavailable", "out of service")])
async def test_tc_048_a_reservation_is_refused(station, status, words):
    """TC_048_1, TC_048_2 and TC_048_3."""
    station.says["ReserveNow"] = status
    text = await refused(station, "reserve", "EVSE-01", "--token", "TAG-1", "--minutes", "30")
    assert words in text, text


async def test_tc_048_4_a_charger_that_rejects_reservations_is_kept_by_the_box(station):
    station.says["ReserveNow"] = "Rejected"
    assert "Ampgate turns other tokens away" in await reserve(station, "TAG-1")
    assert await station.authorize("FLEET-1") != "Accepted"
    assert await station.authorize("TAG-1") == "Accepted"


async def test_tc_049_a_charge_point_is_reserved(station):
    await reserve(station, "TAG-1", where="CP-01")
    assert station.calls("ReserveNow")[-1]["connectorId"] in (0, 1)
    assert await station.authorize("TAG-1") == "Accepted"
    assert await station.plug_in("TAG-1") == "Accepted"
    await station.site.daemon.sees("reservation.ended", "used by transaction")


@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_tc_051_and_052_a_reservation_is_given_up(station, status):
    await reserve(station, "TAG-1")
    station.says["CancelReservation"] = status
    await ask(station, "cancel-reservation", "1")
    await until(lambda: station.calls("CancelReservation"), 10, "the charger is told",
                station.site.daemon)
    assert station.calls("CancelReservation")[-1] == {"reservationId": station.reserved}
    await station.site.daemon.sees("reservation.ended", "given up")
    assert await station.authorize("FLEET-1") == "Accepted", "free, whatever the charger says"


async def test_tc_053_a_reserved_connector_is_used_by_the_group(station):
    await reserve(station, "FLEET-1", "--group", "FLEET")
    assert station.calls("ReserveNow")[-1]["parentIdTag"] == "FLEET"
    answer = await station.link.call(call.Authorize(id_tag="FLEET-2"))
    assert answer.id_tag_info["status"] == "Accepted"
    assert await station.plug_in("FLEET-2") == "Accepted"


# ---- remote trigger and smart charging -----------------------------------------------------------


@pytest.mark.parametrize("word,message", [
    ("boot", "BootNotification"), ("heartbeat", "Heartbeat"), ("meter", "MeterValues"),
    ("status", "StatusNotification"), ("firmware", "FirmwareStatusNotification"),
    ("diagnostics", "DiagnosticsStatusNotification")])
async def test_tc_054_a_message_is_triggered(station, word, message):
    await accepted(station, "remote", "trigger", "CP-01", word)
    assert station.calls("TriggerMessage")[-1]["requestedMessage"] == message


async def test_tc_055_a_trigger_is_refused(station):
    station.says["TriggerMessage"] = "Rejected"
    assert "refused" in await refused(station, "remote", "trigger", "CP-01", "meter")


async def test_tc_056_the_safe_share_is_a_tx_default_profile(station):
    held = lambda: [key for key in station.profiles if key[1] == "TxDefaultProfile"]
    await until(held, 20, "the permanent safe share", station.site.daemon)
    schedule = station.profiles[held()[0]]["charging_schedule"]
    assert [period["limit"] for period in schedule["charging_schedule_period"]] == [6.0]


async def test_tc_057_a_running_charge_has_a_tx_profile(station):
    await station.plug_in("TAG-1")
    await until(station.tx_profiles, 20, "a live limit", station.site.daemon)
    profile = station.calls("SetChargingProfile")[-1]["csChargingProfiles"]
    assert profile["chargingProfilePurpose"] == "TxProfile"
    assert profile["transactionId"] == station.transaction.id


async def test_tc_066_a_composite_schedule_is_read(station):
    await station.plug_in("TAG-1")
    await until(station.tx_profiles, 20, "a live limit", station.site.daemon)
    text = await accepted(station, "remote", "schedule", "EVSE-01", "--seconds", "300")
    assert station.calls("GetCompositeSchedule")[-1]["duration"] == 300
    assert "A" in text, text


async def test_tc_067_a_profile_is_cleared(station):
    text = await refused(station, "remote", "clear-profile", "EVSE-01", "17")
    assert station.calls("ClearChargingProfile")[-1] == {"id": 17}
    assert "no such profile" in text


# ---- logs and signed firmware of the security extension --------------------------------------------


async def test_tc_079_the_security_log_is_fetched(station):
    await accepted(station, "remote", "log", "CP-01", "http://127.0.0.1/up", "--security")
    [message] = station.calls("GetLog")
    assert message["logType"] == "SecurityLog"
    await station.log(message["requestId"], "Uploading", "Uploaded")
    await station.site.daemon.sees("charger.job", "CP-01", "Uploaded")


@pytest.mark.parametrize("states,event", [
    (("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"),
     "charger.job"),
    (("Downloading", "Downloaded", "InvalidSignature"), "charger.job_failed"),
])
async def test_tc_080_and_081_signed_firmware(station, states, event):
    body = {"target": "CP-01", "ask": "firmware", "location": "http://127.0.0.1/fw.bin",
            "signed": {"request": 1, "certificate": "-----BEGIN", "signature": "c2ln"}}
    answer = await asyncio.to_thread(post, f"{station.site.daemon.web_url}/api/v1/remote", body)
    assert answer["words"], answer
    [message] = station.calls("SignedUpdateFirmware")
    await station.signed_firmware(message["requestId"], *states)
    await station.site.daemon.sees(event, "CP-01", states[-1])
