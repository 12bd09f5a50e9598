"""A charge point that can do everything in OCPP 1.6: it restarts, unlocks, starts and stops from
afar, keeps a local list, reservations, firmware and logs. What it answers can be set per action."""

import asyncio

from ocpp.routing import after, on
from ocpp.v16 import call, call_result

import charger as bench

PROFILES = ("Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,"
            "RemoteTrigger")


class Link(bench.Link):
    """Answers as `charger.says` tells for an action, else that all is well."""

    def status(self, action, usual="Accepted"):
        return self.charger.says.get(action, usual)

    @on("Reset")
    def reset(self, type):
        return call_result.Reset(status=self.status("Reset"))

    @after("Reset")
    async def restart(self, type):
        if self.status("Reset") == "Accepted":
            self.charger.later(self.charger.restart(f"{type}Reset"))

    @on("UnlockConnector")
    def unlock(self, connector_id):
        return call_result.UnlockConnector(status=self.status("UnlockConnector", "Unlocked"))

    @after("UnlockConnector")
    async def unlocked(self, connector_id):
        if self.status("UnlockConnector", "Unlocked") == "Unlocked" and self.charger.transaction:
            self.charger.later(self.charger.unplug("UnlockCommand"))

    @on("RemoteStartTransaction")
    def remote_start(self, id_tag, connector_id=None, charging_profile=None):
        self.charger.asked_for = id_tag
        return call_result.RemoteStartTransaction(status=self.status("RemoteStartTransaction"))

    @on("RemoteStopTransaction")
    def remote_stop(self, transaction_id):
        return call_result.RemoteStopTransaction(status=self.status("RemoteStopTransaction"))

    @after("RemoteStopTransaction")
    async def stopped(self, transaction_id):
        running = self.charger.transaction
        accepted = self.status("RemoteStopTransaction") == "Accepted"
        if accepted and running and running.id == transaction_id:
            self.charger.later(self.charger.unplug("Remote"))

    @on("ClearCache")
    def clear_cache(self):
        return call_result.ClearCache(status=self.status("ClearCache"))

    @on("TriggerMessage")
    def trigger_message(self, requested_message, connector_id=None):
        return call_result.TriggerMessage(status=self.status("TriggerMessage"))

    @on("GetLocalListVersion")
    def get_local_list_version(self):
        return call_result.GetLocalListVersion(list_version=self.charger.list_version)

    @on("SendLocalList")
    def send_local_list(self, list_version, update_type, local_authorization_list=None):
        status = self.status("SendLocalList")
        if status == "Accepted":
            self.charger.list_version = list_version
        return call_result.SendLocalList(status=status)

    @on("ReserveNow")
    def reserve_now(self, connector_id, expiry_date, id_tag, reservation_id, parent_id_tag=None):
        self.charger.reserved = reservation_id
        return call_result.ReserveNow(status=self.status("ReserveNow"))

    @on("CancelReservation")
    def cancel_reservation(self, reservation_id):
        return call_result.CancelReservation(status=self.status("CancelReservation"))

    @on("UpdateFirmware")
    def update_firmware(self, location, retrieve_date, **_):
        return call_result.UpdateFirmware()

    @on("SignedUpdateFirmware")
    def signed_update_firmware(self, request_id, firmware, **_):
        return call_result.SignedUpdateFirmware(status=self.status("SignedUpdateFirmware"))

    @on("GetDiagnostics")
    def get_diagnostics(self, location, **_):
        return call_result.GetDiagnostics(file_name="diagnostics.zip")

    @on("GetLog")
    def get_log(self, log, log_type, request_id, **_):
        return call_result.GetLog(status=self.status("GetLog"), filename="security.log")


class Station(bench.Charger):
    """See the head of this file."""

    link_type = Link

    def __init__(self, identity, url):
        super().__init__(identity, url)
        self.says = {}  # action -> status
        self.asked_for = None  # token of the last remote start
        self.reserved = None  # number of the last reservation
        self.list_version = 0
        self.configuration["SupportedFeatureProfiles"] = PROFILES
        self._later = set()

    def later(self, work):
        """Does this beside what goes on: an answer must not wait for it."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def calls(self, action):
        """Payloads of all calls of the central system with this action."""
        return [frame.parts[3] for frame in self.frames
                if not frame.sent and frame.is_call(action)]

    async def restart(self, reason):
        """Ends the charge, goes, and comes back with a BootNotification."""
        if self.transaction:
            await self.unplug(reason)
        self.cut()
        await self.connect()

    async def say(self, status, error="NoError"):
        await self.status(status, error)

    async def firmware(self, *states):
        for state in states:
            await self.link.call(call.FirmwareStatusNotification(status=state))

    async def signed_firmware(self, request, *states):
        for state in states:
            await self.link.call(call.SignedFirmwareStatusNotification(
                status=state, request_id=request))

    async def diagnostics(self, *states):
        for state in states:
            await self.link.call(call.DiagnosticsStatusNotification(status=state))

    async def log(self, request, *states):
        for state in states:
            await self.link.call(call.LogStatusNotification(status=state, request_id=request))


class Quitter(Station):
    """Ends the charge when it is told 0 A, as some makes do, in place of pausing."""

    def take_profile(self, connector, profile):
        status = super().take_profile(connector, profile)
        if self.transaction and self.limit() == 0.0:
            self.later(self.quit())
        return status

    async def quit(self):
        """Nobody wanted this end, so no token stands in it."""
        ended, stop = self.transaction, round(self.energy())
        if ended is None:
            return
        self.transaction = None
        self._drop_tx_profiles()
        await self.link.call(call.StopTransaction(
            meter_stop=stop, timestamp=bench.utc_text(), transaction_id=ended.id, reason="Other"))
        await self.status("Finishing")
