"""A site on loopback: the daemon under test, its broker's grid meter, and twelve charge points."""

import asyncio
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import paho.mqtt.client as mqtt

from charger import PATIENCE, Charger

PHASES = ("L1", "L2", "L3")

# Twelve charge points as in config/office.toml: eight on one phase, four on three.
LAYOUT = [("L1", 16), ("L2", 16), ("L3", 16), ("L1", 16), ("L2", 32), ("L3", 32), ("L1", 32),
          ("L2", 32)] + [("L1L2L3", 32)] * 4

RATING = 80.0  # A per phase of the grid connection
WORST_LOAD = 20.0  # A per phase, assumed when the grid meter is silent
SAFE = 6.0  # A; 7 EVSEs load L1: 7 x 6 + 20 <= 80
TTL = 60  # s; the shortest lease that the configuration allows
GRACE = 3  # s
MAX_AGE = 3  # s after which the grid meter counts as silent


# Figures worth reading, printed at the end of the run.
NOTES = []


def note(text):
    NOTES.append(text)
    print(text)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(ports, rating=RATING, access="anyone = true", extra_lease=""):
    """The site as TOML."""
    head = f"""
[site]
name = "Test yard"
time_zone = "Europe/Paris"

[listen]
ocpp = "127.0.0.1:{ports['ocpp']}"
web = "127.0.0.1:{ports['web']}"

[mqtt]
host = "127.0.0.1"
port = {ports['mqtt']}
client_id = "ampgate-{ports['web']}"

[access]
{access}

[lease]
ttl_s = {TTL}
grace_s = {GRACE}
raise_every_s = 2
deadband_a = 0.5
turn_min = 1
{extra_lease}

[charging]
meter_interval_s = 1
heartbeat_s = 10
call_timeout_s = 5

[[node]]
id = "grid"
name = "Grid 80A"
rating_a = {rating}
meter = "grid"
worst_case_load_a = {WORST_LOAD}

[[meter]]
id = "grid"
topic = "site/grid"
max_age_s = {MAX_AGE}
"""
    values = "".join(
        f'\n[[meter.value]]\npointer = "/current/{phase.lower()}"\nquantity = "current"\n'
        f'phase = "{phase}"\nunit = "A"\n' for phase in PHASES)
    evses = "".join(
        f'\n[[evse]]\nid = "EVSE-{number:02d}"\nnode = "grid"\ncharge_point = "CP-{number:02d}"\n'
        f'phases = "{wiring}"\nrated_a = {rated}\nsafe_a = {SAFE}\n'
        for number, (wiring, rated) in enumerate(LAYOUT, 1))
    return head + values + evses


class Daemon:
    """`ampgate run` as a process, and the commands that talk to it."""

    def __init__(self, binary, folder, broker_port):
        self.binary, self.folder = binary, folder
        self.ports = {"ocpp": free_port(), "web": free_port(), "mqtt": broker_port}
        self.config, self.data = folder / "site.toml", folder / "data"
        self.log, self.process = folder / "ampgate.log", None
        self.config.write_text(configuration(self.ports))

    @property
    def ocpp_url(self):
        return f"ws://127.0.0.1:{self.ports['ocpp']}/ocpp"

    @property
    def web_url(self):
        return f"http://127.0.0.1:{self.ports['web']}"

    async def start(self):
        """Starts it and waits until it takes chargers and answers; returns the seconds it took."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "run", "--config", self.config, "--data", self.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        await until(self._answers, 20, "the daemon answers", self)
        return time.monotonic() - began

    def _answers(self):
        assert self.process.poll() is None, f"the daemon ended:\n{self.log_tail()}"
        try:
            socket.create_connection(("127.0.0.1", self.ports["ocpp"]), 0.2).close()
            return urllib.request.urlopen(f"{self.web_url}/healthz",
                                          timeout=PATIENCE).status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    async def stop(self):
        """SIGTERM; returns (exit code, seconds)."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, 15 * PATIENCE)
        return code, time.monotonic() - began

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    async def cli(self, *words):
        """Output of a command that talks to the running daemon."""
        done = await asyncio.to_thread(
            subprocess.run, [self.binary, *words, "--url", self.web_url],
            capture_output=True, text=True, timeout=20 * PATIENCE, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"ampgate {words}: {done.stdout}{done.stderr}"
        return done.stdout

    async def events(self):
        return await self.cli("events", "--count", "1000")

    async def sessions(self):
        return await self.cli("sessions", "--count", "1000")

    async def explains(self, evse, *words, timeout=10):
        """Waits until `ampgate explain EVSE` has these words; the view lags a little."""
        said = []

        async def ask():
            said[:] = [await self.cli("explain", evse)]
            return all(word in said[0] for word in words)

        await until(ask, timeout, f"{evse} is explained with {words}", self)
        print(said[0])

    async def sees(self, code, *words, timeout=10):
        """Waits until `ampgate events` has a line with this code and these words."""
        found = []

        async def look():
            found[:] = [line for line in (await self.events()).splitlines()
                        if code in line and all(word in line for word in words)]
            return found

        await until(look, timeout, f"an event {code} {words}", self)
        return found

    def log_tail(self, lines=40):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class GridMeter:
    """Publishes what flows through the connection: other load and what the chargers draw."""

    def __init__(self, site, port):
        self.site, self.other = site, [0.0, 0.0, 0.0]
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.silent = False
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            if not self.silent:
                self.publish()
            await asyncio.sleep(0.5)

    def publish(self):
        total = [other + drawn for other, drawn in zip(self.other, self.site.drawn())]
        current = {phase.lower(): round(amps, 2) for phase, amps in zip(PHASES, total)}
        self.send(json.dumps({"current": current}))

    def send(self, payload, topic="site/grid"):
        self.client.publish(topic, payload).wait_for_publish(5)

    def push(self, other):
        """Changes the other load on all phases and says so at once; returns the moment."""
        self.other = [other] * 3
        self.site.audit_pause = time.monotonic()
        self.publish()
        return time.monotonic()

    def close(self):
        self._task.cancel()
        self.client.disconnect()
        self.client.loop_stop()


class Site:
    """Everything together, with an auditor that shares no code with the daemon."""

    def __init__(self, binary, folder, broker_port):
        self.daemon = Daemon(binary, folder, broker_port)
        self.broker_port = broker_port
        self.rating = RATING
        self.chargers = []
        for number, (wiring, rated) in enumerate(LAYOUT, 1):
            charger = Charger(f"CP-{number:02d}", self.daemon.ocpp_url, len(wiring) // 2, rated)
            charger.wiring = [wiring[at:at + 2] for at in range(0, len(wiring), 2)]
            charger.on_change = self.audit
            self.chargers.append(charger)
        self.overloads = []  # (time, phase, A over the rating) found by the auditor
        self.audit_pause = 0.0  # other load was changed by hand at this moment
        self.meter = None
        self._task = None

    async def start(self):
        took = await self.daemon.start()
        self.meter = GridMeter(self, self.broker_port)
        self._task = asyncio.create_task(self._audit_all_the_time())
        return took

    async def connect_all(self):
        await asyncio.gather(*(charger.connect() for charger in self.chargers))

    async def all_charge(self):
        """Twelve cars that want everything; waits until the limits have settled."""
        await self.connect_all()
        for charger in self.chargers:
            assert await charger.plug_in(f"TAG-{charger.identity}") == "Accepted"
        await self.settled()

    async def settled(self, still=4.0, timeout=60):
        """Waits until no limit has changed for `still` seconds."""
        since, limits = time.monotonic(), None
        deadline = since + timeout * PATIENCE
        while time.monotonic() < deadline:
            seen = [round(charger.limit(), 1) for charger in self.chargers]
            if seen != limits:
                since, limits = time.monotonic(), seen
            elif still <= time.monotonic() - since:
                return limits
            await asyncio.sleep(0.2)
        raise AssertionError(f"the limits never came to rest: {limits}")

    def drawn(self):
        return self._sum(lambda charger: charger.current())

    def allowed(self):
        """What running transactions may draw at most by the profiles in force, per phase."""
        return self._sum(lambda charger: charger.limit() if charger.transaction else 0.0)

    def _sum(self, amps_of):
        total = dict.fromkeys(PHASES, 0.0)
        for charger in self.chargers:
            for phase in charger.wiring:
                total[phase] += amps_of(charger)
        return [total[phase] for phase in PHASES]

    def audit(self):
        """Looks whether what the chargers may draw fits beside the other load."""
        if self.meter is None or time.monotonic() < self.audit_pause + 2.0 * PATIENCE:
            return
        for phase, allowed, other in zip(PHASES, self.allowed(), self.meter.other):
            over = allowed + other - self.rating
            if 0.05 < over:
                self.overloads.append((time.monotonic(), phase, round(over, 1)))

    async def _audit_all_the_time(self):
        while True:
            self.audit()
            await asyncio.sleep(0.2)

    async def finish(self):
        """Stops everything and returns what was found wrong on the way."""
        for task in [self._task] if self._task else []:
            task.cancel()
        if self.meter:
            self.meter.close()
        for charger in self.chargers:
            charger.cut()
        if self.daemon.process and self.daemon.process.poll() is None:
            await self.daemon.stop()
        faults = [f"over the rating: {entry}" for entry in self.overloads[:10]]
        for charger in self.chargers:
            faults += await charger.faults()
        if "panicked" in self.daemon.log_tail(100000):
            faults.append(f"the daemon panicked:\n{self.daemon.log_tail()}")
        return faults


async def until(condition, timeout, what, daemon=None):
    """Waits for a condition (a function or a coroutine function) to hold."""
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return held
        await asyncio.sleep(0.05)
    tail = f"\n{daemon.log_tail()}" if daemon else ""
    what = what() if callable(what) else what
    raise AssertionError(f"waited {timeout} s in vain until: {what}{tail}")


def get(url):
    """(status, text) of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=5 * PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


