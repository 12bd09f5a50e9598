"""Security profiles 0 to 3 with an independent client: from boot to stop, and who stays out."""

import asyncio
import base64
import shutil
import ssl
import subprocess

import pytest
import websockets
from ocpp.v16 import call

from charger import Charger, utc_text
from site_harness import free_port, note, until


class Secrets:
    """The passwords and certificates of a site, made with the program itself."""

    def __init__(self, site, folder):
        self.site, self.folder, self.data = site, folder, site.daemon.data
        self.port = site.daemon.ports["ocpps"] = free_port()
        config = site.daemon.config
        config.write_text(config.read_text().replace(
            "[listen]", f'[listen]\nocpps = "127.0.0.1:{self.port}"'))
        self.run("ca", "init", "127.0.0.1", "localhost")

    def run(self, *words):
        done = subprocess.run([self.site.daemon.binary, *words, "--data", self.data],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"ampgate {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def password(self, identity, *words):
        return self.run("charger", "password", identity, *words).strip()

    def request(self, identity):
        """Files with a key and a request for a certificate."""
        key, request = self.folder / f"{identity}.key", self.folder / f"{identity}.csr"
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                        "-subj", f"/O=Operator/CN={identity}"], check=True, capture_output=True)
        return key, request

    def certificate(self, identity, data=None):
        """Files with a certificate and its key, by the authority of the site or of another."""
        key, request = self.request(identity)
        done = subprocess.run(
            [self.site.daemon.binary, "ca", "sign", identity, request, "--data",
             data or self.data], capture_output=True, text=True, check=True)
        signed = self.folder / f"{identity}.pem"
        signed.write_text(done.stdout)
        return signed, key

    def trust(self, pair=None):
        context = ssl.create_default_context(cadata=self.run("ca", "root"))
        if pair:
            context.load_cert_chain(*pair)
        return context

    def dress(self, charger, password=None, tls=False, pair=None):
        """Lets a charger show these from its next connection on."""
        charger.shows = {}
        charger.url = self.site.daemon.ocpp_url
        if tls or pair:
            charger.url = f"wss://127.0.0.1:{self.port}/ocpp"
            charger.shows["ssl"] = self.trust(pair)
        if password is not None:
            login = base64.b64encode(f"{charger.identity}:{password}".encode()).decode()
            charger.shows["additional_headers"] = {"Authorization": f"Basic {login}"}


@pytest.fixture
async def secrets(idle, tmp_path):
    assert shutil.which("openssl"), "openssl is not installed"
    secrets = Secrets(idle, tmp_path)
    await idle.start()
    return secrets


async def refused(charger):
    """The status with which a charger is turned away; 0 where TLS does not come about."""
    try:
        await charger.connect()
    except websockets.InvalidStatus as error:
        return error.response.status_code
    except (ssl.SSLError, ConnectionError, websockets.InvalidMessage, EOFError):
        return 0
    raise AssertionError("it came in")


async def charges(charger, token="TAG-1"):
    """From boot to stop."""
    await charger.connect()
    assert await charger.plug_in(token) == "Accepted"
    await until(lambda: any(purpose == "TxProfile" for _, purpose, _ in charger.profiles), 20,
                f"{charger.identity} is told a limit")
    transaction, _ = await charger.unplug()
    assert transaction.id > 0
    charger.cut()


async def test_boot_to_stop_at_each_security_profile(secrets, idle):
    zero, one, two, three = idle.chargers[:4]
    secrets.dress(one, secrets.password("CP-02"))
    secrets.dress(two, secrets.password("CP-03"), tls=True)
    secrets.dress(three, pair=secrets.certificate("CP-04"))
    # The daemon looks at its files every few seconds.
    await idle.daemon.sees("security.secrets_loaded", "passwords")
    for charger in (zero, one, two, three):
        await charges(charger)
    for identity in ("CP-02", "CP-03"):
        await idle.daemon.sees("security.password_seen", identity)
    log = idle.daemon.log_tail(100000)
    for charger in (one, two):
        login = charger.shows["additional_headers"]["Authorization"].split()[1]
        password = base64.b64decode(login).decode().split(":")[1]
        assert password not in log and login not in log
        assert password not in (secrets.data / "chargers.json").read_text()


async def test_who_shows_the_wrong_thing_stays_out(secrets, idle, tmp_path):
    one, two, three, four = idle.chargers[:4]
    password = secrets.password("CP-01", "--at-once")
    await idle.daemon.sees("security.secrets_loaded", "passwords")
    for wrong in (None, "0" * 40, password[:-1] + ("0" if password[-1] != "0" else "1")):
        secrets.dress(one, wrong)
        assert await refused(one) == 401
    await idle.daemon.sees("link.login_refused", "CP-01")
    secrets.dress(two, pair=secrets.certificate("CP-03"))
    assert await refused(two) == 401
    await idle.daemon.sees("link.certificate_refused", "CP-03")
    other = tmp_path / "other"
    subprocess.run([idle.daemon.binary, "ca", "init", "127.0.0.1", "--data", other], check=True)
    secrets.dress(three, pair=secrets.certificate("CP-03", data=other))
    assert await refused(three) == 0
    await idle.daemon.sees("link.certificate_refused", "root")
    secrets.dress(four, tls=True, pair=secrets.certificate("CP-04"))
    await charges(four)


async def test_a_password_and_a_certificate_are_renewed_while_it_runs(secrets, idle):
    charger = idle.chargers[0]
    old = secrets.password("CP-01", "--at-once")
    await idle.daemon.sees("security.secrets_loaded", "passwords")
    secrets.dress(charger, old, tls=True)
    await charges(charger)
    new = secrets.password("CP-01")
    secrets.run("ca", "server", "127.0.0.1")
    await idle.daemon.sees("security.secrets_loaded", "certificate")
    idle.daemon.reload()
    await charges(charger)

    async def has_new():
        secrets.dress(charger, new, tls=True)
        try:
            await charger.connect()
        except websockets.InvalidStatus:
            return False
        charger.cut()
        return True

    await until(has_new, 15, "the new password is taken", idle.daemon)
    await idle.daemon.sees("security.password_seen", "CP-01")
    secrets.dress(charger, old, tls=True)
    assert await refused(charger) == 401


async def test_password_certificate_and_profile_are_changed_over_ocpp(secrets, idle):
    charger, cli = idle.chargers[0], idle.daemon.cli
    charger.configuration["AuthorizationKey"] = charger.configuration["SecurityProfile"] = ""
    await charger.connect()
    assert "took it" in await cli("charger", "rotate", "CP-01")
    key = charger.configuration["AuthorizationKey"]
    assert len(bytes.fromhex(key)) == 20
    await cli("charger", "profile", "1", "CP-01")
    assert charger.configuration["SecurityProfile"] == "1"
    charger.cut()
    secrets.dress(charger, key)
    await charger.connect()
    await idle.daemon.sees("security.password_seen", "CP-01")
    await idle.daemon.sees("security.profile_seen", "CP-01")

    await cli("charger", "install-root", "CP-01")
    assert "BEGIN CERTIFICATE" in charger.roots["CentralSystemRootCertificate"]
    assert "issuerNameHash" in await cli("charger", "roots", "CP-01")
    maker = idle.daemon.folder / "maker.pem"
    maker.write_text(charger.roots["CentralSystemRootCertificate"])
    await cli("charger", "install-root", "CP-01", "--manufacturer", str(maker))
    assert "BEGIN CERTIFICATE" in charger.roots["ManufacturerRootCertificate"]
    await cli("charger", "delete-root", "SHA256", "aa", "bb", "07", "CP-01")
    assert not charger.roots

    await cli("charger", "certificate", "CP-01")
    assert charger.wanted == ["SignChargePointCertificate"]
    private, request = secrets.request("CP-01")
    answer = await charger.link.call(call.SignCertificate(csr=request.read_text()))
    assert answer.status == "Accepted"
    await until(lambda: charger.chain, 10, "the certificate comes", idle.daemon)
    signed = secrets.folder / "over-ocpp.pem"
    signed.write_text(charger.chain)
    await cli("charger", "profile", "3", "CP-01")
    charger.cut()
    secrets.dress(charger, pair=(signed, private))
    await charges(charger)
    secrets.dress(charger, key)
    assert await refused(charger) == 401, "security profiles only go up"

    # It may ask for its own certificate alone.
    other = idle.chargers[1]
    await other.connect()
    await other.link.call(call.SignCertificate(csr=request.read_text()))
    await idle.daemon.sees("link.certificate_refused", "CP-02", '"CP-01"')
    await other.link.call(call.SecurityEventNotification(
        type="TamperDetectionActivated", timestamp=utc_text(), tech_info="cover open"))
    await idle.daemon.sees("charger.security", "TamperDetectionActivated")
    log = idle.daemon.log_tail(100000)
    assert key not in log and key.lower() not in log


async def test_a_stranger_is_adopted_with_one_command(secrets, idle):
    stranger = Charger("ACE-77", idle.daemon.ocpp_url)
    assert await refused(stranger) == 404
    assert "ACE-77" in await idle.daemon.cli("pending")
    await idle.daemon.cli("pending", "--interview", "5")
    try:
        await asyncio.wait_for(stranger.connect(), 3)
    except Exception:  # it is told to wait, and its status is all that it may tell
        pass
    stranger.cut()
    assert "Testers Model T" in await idle.daemon.cli("pending")
    await idle.daemon.cli("pending", "--interview", "0")
    before = idle.daemon.config.read_text()
    await idle.daemon.cli("adopt", "ACE-77", "--node", "grid", "--evse", "EVSE-77")
    assert idle.daemon.config.read_text().startswith(before.rstrip())
    await stranger.connect()
    assert await stranger.plug_in("TAG-1") == "Accepted"

    async def is_shown():  # the view lags a little
        return "EVSE-77" in await idle.daemon.cli("explain")

    await until(is_shown, 5, "the adopted charger is shown", idle.daemon)
    await stranger.unplug()
    stranger.cut()


async def test_memory_of_a_connection(secrets, idle):
    def resident():
        status = open(f"/proc/{idle.daemon.process.pid}/status").read()
        return int(status.split("VmRSS:")[1].split()[0])

    charger = idle.chargers[0]
    secrets.dress(charger, secrets.password("CP-01", "--at-once"), tls=True)
    await idle.daemon.sees("security.secrets_loaded", "passwords")
    await charges(charger)
    context, figures = charger.shows, {}
    for name, url, shows in [("plain", idle.daemon.ocpp_url, {}), ("TLS", charger.url, context)]:
        held = []
        before = resident()
        shows = {key: value for key, value in shows.items() if key != "additional_headers"}
        for other in idle.chargers[1:]:
            held.append(await websockets.connect(
                f"{url}/{other.identity}", subprotocols=["ocpp1.6"], compression=None, **shows))
        figures[name] = (resident() - before) / len(held)
        for socket in held:
            socket.transport.abort()
    note("resident KiB for each idle connection: "
         + ", ".join(f"{name} {figure:.0f}" for name, figure in figures.items()))
