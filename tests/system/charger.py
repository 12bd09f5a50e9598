"""A charge point with one connector and a car, on the client side of the PyPI package `ocpp`.

It keeps its charging profiles, its transaction and its energy register across connections, obeys
profiles by its own clock (so a two-step profile falls by itself), and queues transaction messages
while it is offline. Every frame is recorded with the time at which it passed.
"""

import asyncio
import itertools
import json
import logging
import os
import time
from dataclasses import dataclass
from datetime import datetime, timezone

import websockets
from ocpp.messages import Call, CallError, CallResult, MessageType, unpack, validate_payload
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result

VOLTAGE = 230.0

# How many times longer than usual anything may take: more where the program runs under an emulator.
PATIENCE = float(os.environ.get("AMPGATE_PATIENCE", "1"))
logging.getLogger("ocpp").setLevel(logging.CRITICAL)


def utc_text(seconds=None):
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def seconds_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@dataclass
class Frame:
    """One text frame as it passed the charger's socket."""

    at: float  # time.monotonic()
    sent: bool  # by the charger
    text: str
    link: int  # number of the connection, from 1

    @property
    def parts(self):
        return json.loads(self.text)

    def is_call(self, action):
        parts = self.parts
        return parts[0] == 2 and parts[2] == action


class Recorder:
    """The socket as `ocpp` sees it, with a record of what passed."""

    def __init__(self, socket, charger, number):
        self.socket, self.charger, self.number = socket, charger, number

    async def recv(self):
        text = await self.socket.recv()
        self.charger.frames.append(Frame(time.monotonic(), False, text, self.number))
        return text

    async def send(self, text):
        await self.socket.send(text)
        self.charger.frames.append(Frame(time.monotonic(), True, text, self.number))


class Link(ChargePoint):
    """One connection: routes the calls of the central system to the charger behind it."""

    def __init__(self, charger, recorder):
        super().__init__(charger.identity, recorder, response_timeout=20 * PATIENCE)
        self.charger = charger

    @on("SetChargingProfile")
    async def set_charging_profile(self, connector_id, cs_charging_profiles):
        await asyncio.sleep(self.charger.answer_delay)
        status = self.charger.take_profile(connector_id, cs_charging_profiles)
        return call_result.SetChargingProfile(status=status)

    @on("ClearChargingProfile")
    def clear_charging_profile(self, id=None, connector_id=None, charging_profile_purpose=None,
                               stack_level=None):
        found = self.charger.clear_profiles(id, connector_id, charging_profile_purpose, stack_level)
        return call_result.ClearChargingProfile(status="Accepted" if found else "Unknown")

    @on("GetCompositeSchedule")
    def get_composite_schedule(self, connector_id, duration, charging_rate_unit=None):
        start = time.time()
        return call_result.GetCompositeSchedule(
            status="Accepted",
            connector_id=connector_id,
            schedule_start=utc_text(start),
            charging_schedule={
                "duration": duration,
                "startSchedule": utc_text(start),
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": self.charger.composite(start, duration),
            },
        )

    @on("GetConfiguration")
    def get_configuration(self, key=None):
        known = self.charger.configuration
        wanted = known if not key else [name for name in key if name in known]
        return call_result.GetConfiguration(
            configuration_key=[
                {"key": name, "readonly": name in READ_ONLY, "value": known[name]}
                for name in wanted
            ],
            unknown_key=[name for name in key or [] if name not in known],
        )

    @on("ExtendedTriggerMessage")
    def extended_trigger_message(self, requested_message, connector_id=None):
        self.charger.wanted.append(requested_message)
        return call_result.ExtendedTriggerMessage(status="Accepted")

    @on("CertificateSigned")
    def certificate_signed(self, certificate_chain):
        self.charger.chain = certificate_chain
        return call_result.CertificateSigned(status="Accepted")

    @on("InstallCertificate")
    def install_certificate(self, certificate_type, certificate):
        self.charger.roots[certificate_type] = certificate
        return call_result.InstallCertificate(status="Accepted")

    @on("GetInstalledCertificateIds")
    def get_installed_certificate_ids(self, certificate_type):
        if certificate_type not in self.charger.roots:
            return call_result.GetInstalledCertificateIds(status="NotFound")
        return call_result.GetInstalledCertificateIds(
            status="Accepted", certificate_hash_data=[HASHES])

    @on("DeleteCertificate")
    def delete_certificate(self, certificate_hash_data):
        self.charger.roots.clear()
        return call_result.DeleteCertificate(status="Accepted")

    @on("ChangeConfiguration")
    def change_configuration(self, key, value):
        if key not in self.charger.configuration:
            return call_result.ChangeConfiguration(status="NotSupported")
        if key in READ_ONLY:
            return call_result.ChangeConfiguration(status="Rejected")
        self.charger.configuration[key] = value
        return call_result.ChangeConfiguration(status="Accepted")

    @on("TriggerMessage")
    def trigger_message(self, requested_message, connector_id=None):
        return call_result.TriggerMessage(status="Accepted")

    @after("TriggerMessage")
    async def after_trigger(self, requested_message, connector_id=None):
        await self.charger.send_triggered(requested_message)

    @on("RemoteStartTransaction")
    def remote_start(self, id_tag, connector_id=None, charging_profile=None):
        return call_result.RemoteStartTransaction(status="Accepted")

    @on("ChangeAvailability")
    def change_availability(self, connector_id, type):
        return call_result.ChangeAvailability(status="Accepted")

    @on("DataTransfer")
    def data_transfer(self, vendor_id, message_id=None, data=None):
        return call_result.DataTransfer(status="UnknownVendorId")

    @on("GetLocalListVersion")
    def get_local_list_version(self):
        return call_result.GetLocalListVersion(list_version=0)

    @on("SendLocalList")
    def send_local_list(self, list_version, update_type, local_authorization_list=None):
        return call_result.SendLocalList(status="Accepted")

    @on("ClearCache")
    def clear_cache(self):
        return call_result.ClearCache(status="Accepted")


HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb",
          "serialNumber": "07"}

READ_ONLY = {
    "NumberOfConnectors", "SupportedFeatureProfiles", "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit", "ChargingScheduleMaxPeriods",
    "MaxChargingProfilesInstalled",
}


@dataclass
class Transaction:
    id: int | None
    token: str
    started: float  # UTC seconds
    meter_start: int


class Charger:
    """See the head of this file."""

    link_type = Link

    def __init__(self, identity, url, phases=1, rated=32.0):
        self.identity, self.url = identity, url
        self.phases, self.rated = phases, rated
        self.obeys = True  # draws by its profiles, or what the car wants
        self.refuses = False  # rejects every profile
        self.answer_delay = 0.0  # before a profile is applied and answered
        self.demand = rated  # what the car wants, per phase
        self.profiles = {}  # (connector, purpose, stack) -> profile
        self.transaction = None
        self.register = 1000.0 * int(identity[-2:])  # Wh
        self.frames = []
        self.broken = []
        self.queue = []  # transaction messages that wait for a connection
        self.link = None
        self.wanted, self.chain, self.roots = [], None, {}  # what was said of certificates
        self.shows = {}  # password and certificates, as arguments of websockets.connect
        self.on_change = lambda: None  # called whenever a limit in force may have changed
        self._counted = time.time()
        self._numbers = itertools.count(1)
        self._tasks = []
        self._known_ids = itertools.count(-2, -1)
        self.configuration = {
            "HeartbeatInterval": "300", "MeterValueSampleInterval": "10",
            "MeterValuesSampledData": "Energy.Active.Import.Register",
            "ClockAlignedDataInterval": "0", "MeterValuesAlignedData": "",
            "StopTxnSampledData": "", "StopTxnAlignedData": "", "ConnectionTimeOut": "60",
            "WebSocketPingInterval": "0", "LocalAuthorizeOffline": "true",
            "LocalPreAuthorize": "false", "AuthorizeRemoteTxRequests": "false",
            "StopTransactionOnInvalidId": "true", "StopTransactionOnEVSideDisconnect": "true",
            "TransactionMessageAttempts": "3", "TransactionMessageRetryInterval": "20",
            "NumberOfConnectors": "1",
            "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
            "ChargeProfileMaxStackLevel": "8",
            "ChargingScheduleAllowedChargingRateUnit": "Current",
            "ChargingScheduleMaxPeriods": "8", "MaxChargingProfilesInstalled": "8",
        }

    # ---- connection ----------------------------------------------------------------------------

    @property
    def online(self):
        return self.link is not None

    async def connect(self, boot=True, path=None):
        socket = await websockets.connect(
            path or f"{self.url}/{self.identity}", subprotocols=["ocpp1.6"],
            ping_interval=None, max_size=None, compression=None, open_timeout=10 * PATIENCE,
            **self.shows,
        )
        number = next(self._numbers)
        self.link = self.link_type(self, Recorder(socket, self, number))
        self._tasks = [asyncio.create_task(self._serve(self.link))]
        if boot:
            await self.boot()
        status = "Charging" if self.transaction else "Available"
        await self.status(status)
        self._tasks.append(asyncio.create_task(self._meter()))

    async def boot(self):
        answer = await self.link.call(call.BootNotification(
            charge_point_model="Model T", charge_point_vendor="Testers",
            firmware_version="1.0", charge_point_serial_number=self.identity))
        return answer

    async def _serve(self, link):
        try:
            await link.start()
        except websockets.ConnectionClosed:
            if self.link is link:
                self.link = None
        except Exception as error:
            self.broken.append(f"the test's own charger failed: {error!r}")
            raise

    def cut(self):
        """The network goes: the socket dies without a goodbye."""
        if self.link is not None:
            self.link._connection.socket.transport.abort()
            self.link = None
        for task in self._tasks:
            task.cancel()

    async def reconnect(self, boot=False):
        """Comes back as a correct charger does: no BootNotification, then the queue."""
        self.cut()
        await self.connect(boot=boot)
        await self.deliver()

    # ---- what it does --------------------------------------------------------------------------

    async def status(self, status, error="NoError"):
        await self.link.call(call.StatusNotification(
            connector_id=1, error_code=error, status=status, timestamp=utc_text()))

    async def heartbeat(self):
        return await asyncio.wait_for(self.link.call(call.Heartbeat()), 10 * PATIENCE)

    async def authorize(self, token):
        answer = await self.link.call(call.Authorize(id_tag=token))
        return answer.id_tag_info["status"]

    async def plug_in(self, token="TAG-1", demand=None):
        """A car is plugged in and a transaction starts; returns the answer's status."""
        self.demand = self.rated if demand is None else demand
        await self.status("Preparing")
        answer = await self.link.call(call.StartTransaction(
            connector_id=1, id_tag=token, meter_start=round(self.energy()),
            timestamp=utc_text()))
        status = answer.id_tag_info["status"]
        if status == "Accepted":
            self.transaction = Transaction(
                answer.transaction_id, token, time.time(), round(self.energy()))
            await self.status("Charging")
        self.on_change()
        return status

    async def unplug(self, reason="EVDisconnected"):
        transaction, stop = self.transaction, round(self.energy())
        self.transaction = None
        self._drop_tx_profiles()
        self.on_change()
        await self.link.call(call.StopTransaction(
            meter_stop=stop, timestamp=utc_text(), transaction_id=transaction.id,
            id_tag=transaction.token, reason=reason))
        await self.status("Available")
        return transaction, stop

    def offline_session(self, token, started, ended, energy):
        """A whole session without a connection; its messages wait for the next one."""
        begin = round(self.energy())
        self.register += energy
        self.queue.append((token, started, begin, ended, begin + energy))

    async def deliver(self):
        """Sends the queue in order; returns the transaction ids that were given."""
        given = []
        while self.queue:
            token, started, begin, ended, end = self.queue[0]
            answer = await self.link.call(call.StartTransaction(
                connector_id=1, id_tag=token, meter_start=begin, timestamp=utc_text(started)))
            await self.link.call(call.StopTransaction(
                meter_stop=end, timestamp=utc_text(ended),
                transaction_id=answer.transaction_id, id_tag=token, reason="Local"))
            given.append(answer.transaction_id)
            self.queue.pop(0)
        return given

    async def _meter(self):
        while True:
            interval = float(self.configuration["MeterValueSampleInterval"] or 0)
            await asyncio.sleep(max(interval, 0.5))
            if self.transaction is not None and self.link is not None:
                try:
                    await self.send_meter_values()
                except (websockets.ConnectionClosed, TimeoutError, asyncio.TimeoutError):
                    return

    async def send_meter_values(self):
        current = self.current()
        samples = [{"value": str(round(self.energy())), "unit": "Wh",
                    "measurand": "Energy.Active.Import.Register"},
                   {"value": f"{current * VOLTAGE * self.phases:.0f}", "unit": "W",
                    "measurand": "Power.Active.Import"}]
        samples += [{"value": f"{current:.2f}", "unit": "A", "phase": f"L{phase + 1}",
                     "measurand": "Current.Import"} for phase in range(self.phases)]
        transaction = self.transaction.id if self.transaction else None
        await self.link.call(call.MeterValues(
            connector_id=1, transaction_id=transaction,
            meter_value=[{"timestamp": utc_text(), "sampledValue": samples}]))

    async def send_triggered(self, what):
        if self.link is None:
            return
        if what == "MeterValues":
            await self.send_meter_values()
        elif what == "StatusNotification":
            await self.status("Charging" if self.transaction else "Available")
        elif what == "Heartbeat":
            await self.heartbeat()
        elif what == "BootNotification":
            await self.boot()

    # ---- the car -------------------------------------------------------------------------------

    def current(self, at=None):
        """What it draws on each of its phases, in A."""
        if self.transaction is None:
            return 0.0
        allowed = self.limit(at) if self.obeys else self.rated
        drawn = min(self.demand, allowed, self.rated)
        return drawn if 6.0 <= drawn + 1e-9 else 0.0

    def energy(self):
        now = time.time()
        self.register += self.current() * VOLTAGE * self.phases * (now - self._counted) / 3600
        self._counted = now
        return self.register

    # ---- profiles ------------------------------------------------------------------------------

    def take_profile(self, connector, profile):
        if self.refuses:
            return "Rejected"
        self.energy()
        purpose = profile["charging_profile_purpose"]
        if purpose == "TxProfile":
            named = profile.get("transaction_id")
            if self.transaction is None or named not in (None, self.transaction.id):
                return "Rejected"
        same = [key for key, old in self.profiles.items()
                if old["charging_profile_id"] == profile["charging_profile_id"]]
        for key in same:
            del self.profiles[key]
        self.profiles[(connector, purpose, profile["stack_level"])] = profile
        self.on_change()
        return "Accepted"

    def clear_profiles(self, id, connector, purpose, stack):
        def hit(key, profile):
            if id is not None:
                return profile["charging_profile_id"] == id
            return all(want is None or want == have
                       for want, have in zip((connector, purpose, stack), key))
        found = [key for key, profile in self.profiles.items() if hit(key, profile)]
        for key in found:
            del self.profiles[key]
        self.on_change()
        return found

    def _drop_tx_profiles(self):
        for key in [key for key in self.profiles if key[1] == "TxProfile"]:
            del self.profiles[key]

    def limit(self, at=None):
        """The limit in force in A per phase, by the rules of OCPP 1.6 section 3.13."""
        at = time.time() if at is None else at
        transaction = self._purpose_limit("TxProfile", at)
        if transaction is None:
            transaction = self._purpose_limit("TxDefaultProfile", at)
        bounds = [transaction, self._purpose_limit("ChargePointMaxProfile", at), self.rated]
        return min(bound for bound in bounds if bound is not None)

    def _purpose_limit(self, purpose, at):
        stacked = [(stack, profile) for (_, name, stack), profile in self.profiles.items()
                   if name == purpose]
        for _, profile in sorted(stacked, key=lambda entry: -entry[0]):
            limit = self._profile_limit(profile, at)
            if limit is not None:
                return limit
        return None

    def _profile_limit(self, profile, at):
        if "valid_from" in profile and at < seconds_of(profile["valid_from"]):
            return None
        if "valid_to" in profile and seconds_of(profile["valid_to"]) <= at:
            return None
        schedule = profile["charging_schedule"]
        if profile["charging_profile_kind"] == "Relative":
            start = self.transaction.started if self.transaction else at
        else:
            start = seconds_of(schedule["start_schedule"])
        offset = at - start
        if offset < 0 or ("duration" in schedule and schedule["duration"] <= offset):
            return None
        limit = None
        for period in schedule["charging_schedule_period"]:
            if period["start_period"] <= offset:
                limit = float(period["limit"])
        if limit is not None and schedule["charging_rate_unit"] == "W":
            limit = limit / VOLTAGE / self.phases
        return limit

    def composite(self, start, duration):
        """Periods as GetCompositeSchedule tells them, sampled each second."""
        periods = []
        for second in range(duration):
            limit = round(self.limit(start + second), 1)
            if not periods or periods[-1]["limit"] != limit:
                periods.append({"startPeriod": second, "limit": limit})
        return periods

    def tx_profiles(self, since=0.0):
        """(time of receipt, live limit, safe limit) of each TxProfile received since then."""
        found = []
        for frame in self.frames:
            if not frame.sent and since <= frame.at and frame.is_call("SetChargingProfile"):
                profile = frame.parts[3]["csChargingProfiles"]
                if profile["chargingProfilePurpose"] == "TxProfile":
                    periods = profile["chargingSchedule"]["chargingSchedulePeriod"]
                    found.append((frame.at, periods[0]["limit"], periods[-1]["limit"]))
        return found

    # ---- what the central system may say -------------------------------------------------------

    async def faults(self):
        """Everything the central system said that breaks the schemas or the rules of OCPP-J."""
        faults, asked, open_calls = list(self.broken), {}, {}
        for frame in self.frames:
            message = unpack(frame.text)
            kind = message.message_type_id
            if frame.sent:
                if kind == MessageType.Call:
                    asked[message.unique_id] = message.action
                else:
                    open_calls.pop((frame.link, message.unique_id), None)
                continue
            faults += await self._fault(message, asked)
            if kind == MessageType.Call:
                waiting = [call for (link, _), call in open_calls.items() if link == frame.link]
                if waiting:
                    faults.append(f"{message.action} was sent while {waiting} waited")
                open_calls[(frame.link, message.unique_id)] = message.action
        return [f"{self.identity}: {fault}" for fault in faults]

    @staticmethod
    async def _fault(message, asked):
        if isinstance(message, CallError):
            return [] if message.error_code in ERROR_CODES else [f"code {message.error_code}"]
        if isinstance(message, CallResult):
            if message.unique_id not in asked:
                return [f"a result for {message.unique_id}, which was never asked"]
            message.action = asked[message.unique_id]
        try:
            await validate_payload(message, "1.6")
        except Exception as error:
            return [f"{message.action}: {error}"]
        return [] if isinstance(message, (Call, CallResult)) else ["an unknown kind of message"]


ERROR_CODES = {
    "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError",
    "FormationViolation", "PropertyConstraintViolation", "OccurenceConstraintViolation",
    "TypeConstraintViolation", "GenericError",
}
