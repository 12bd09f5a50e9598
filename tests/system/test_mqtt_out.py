"""What the daemon tells over MQTT, and the limits that it takes there, with a real broker; the same
inside TLS, with certificates and a password."""

import asyncio
import json
import re
import subprocess
import time

import pytest

from mosquitto import Listener, Mosquitto, certificates
from site_harness import Site, configuration, note, until

PUBLISH = """
[mqtt.publish]
topic = "yard"
every_s = 2
limits = true
"""


def publishing(daemon, mqtt_lines="", publish=PUBLISH):
    """The configuration with more in [mqtt]."""
    text = configuration(daemon.ports)
    return re.sub(r"(\[mqtt\][^\[]*)", lambda found: found[1] + mqtt_lines + publish, text, count=1)


@pytest.fixture
async def own(binary, tmp_path):
    """A site with a broker of its own, and somebody who listens to it; nothing runs yet."""
    broker = Mosquitto(tmp_path / "broker").start()
    site = Site(binary, tmp_path, broker.port)
    site.daemon.config.write_text(publishing(site.daemon))
    site.broker, site.ears = broker, Listener(broker.port)
    yield site
    faults = await site.finish()
    site.ears.close()
    broker.stop()
    assert not faults, "\n".join(faults)


def told(ears, topic):
    payload = ears.last.get(topic)
    return json.loads(payload) if payload else {}


async def test_site_evses_and_discovery_are_told(own):
    await own.start()
    await own.connect_all()
    ears = own.ears
    await until(lambda: ears.last.get("yard/availability") == "online", 10, "it is online")
    await until(lambda: told(ears, "yard/site/state").get("evses_online") == 12, 20, "all online")
    site = told(ears, "yard/site/state")
    assert site["failsafe"] is False and site["failsafe_reason"] == "", site
    assert {"import_w", "pv_w", "charging_w", "headroom_a"} <= site.keys()
    assert await own.chargers[4].plug_in("TAG-05") == "Accepted"
    await until(lambda: told(ears, "yard/evse/EVSE-05/state").get("status") == "charging", 20,
                "the car is told")
    await until(lambda: 6000 < (told(ears, "yard/evse/EVSE-05/state").get("power_w") or 0), 40,
                "its power is told")
    state = told(ears, "yard/evse/EVSE-05/state")
    note(f"an EVSE over MQTT: {json.dumps(state)}")
    assert state["session"] == 1 and "TAG-05" not in json.dumps(ears.last)
    document = told(ears, "homeassistant/device/yard_evse_EVSE-05/config")
    number = document["components"]["limit_a"]
    assert number["command_topic"] == "yard/evse/EVSE-05/limit_a/set" and number["max"] == 32.0
    assert document["device"]["via_device"] == "yard_site"
    own.meter.silent = True
    await until(lambda: told(ears, "yard/site/state").get("failsafe"), 15, "the failsafe is told")
    assert "meter grid silent" in told(ears, "yard/site/state")["failsafe_reason"]
    own.meter.silent = False


async def test_limits_are_taken_named_and_end(own):
    await own.start()
    await own.all_charge()
    ears = own.ears
    ears.say("yard/evse/EVSE-05/limit_a/set", "8")
    await own.daemon.explains("EVSE-05", "limit of 8.0 A by MQTT until")
    await until(lambda: own.chargers[4].limit() == 8.0, 20, "the charger was told", own.daemon)
    await until(lambda: told(ears, "yard/evse/EVSE-05/state").get("limit_a") == 8.0, 5, "told back")
    ears.say("yard/evse/EVSE-05/limit_a/set", "none")
    await until(lambda: told(ears, "yard/evse/EVSE-05/state").get("limit_a") is None, 5, "cleared")
    command = {"limit_kw": 20, "minutes": 0.25, "source": "dimming"}
    ears.say("yard/site/limit_kw/set", json.dumps(command))
    await own.daemon.sees("limit.outside", "limit of 20.0 kW by dimming until")
    await until(lambda: sum(own.allowed()) * 230 <= 20_050, 20, "all together are below", own.daemon)
    await own.daemon.sees("limit.outside", "is over", timeout=25)
    ears.say("yard/evse/EVSE-01/limit_a/set", "much")
    await own.daemon.sees("limit.outside_refused", 'found "much", expected a number, none')
    ears.say("yard/evse/EVSE-77/limit_a/set", "7")
    await own.daemon.sees("limit.outside_refused", "EVSE-77")
    ears.say("yard/site/limit_kw/set", "1", retain=True)
    # A retained message comes without its mark to who listens already: it counts as a command.
    await own.daemon.sees("limit.outside", "limit of 1.0 kW by MQTT until")
    await own.daemon.stop()
    await own.daemon.start()
    await own.daemon.sees("limit.outside_refused", "a retained limit")
    ears.say("yard/site/limit_kw/set", "", retain=True)


async def test_the_broker_says_that_the_box_is_gone_and_a_reconnect_tells_all(own):
    await own.start()
    ears = own.ears
    await until(lambda: "yard/evse/EVSE-12/state" in ears.last, 15, "all is told")
    count = dict(ears.count)
    ears.say("homeassistant/status", "online")
    config = "homeassistant/device/yard_evse_EVSE-12/config"
    await until(lambda: count[config] < ears.count[config], 10, "told again at its birth")
    own.daemon.kill()
    await until(lambda: ears.last["yard/availability"] == "offline", 40, "the will is said")
    await own.daemon.start()
    await until(lambda: ears.last["yard/availability"] == "online", 15, "it is back")
    ears.close()
    own.broker.stop()
    own.broker.start()
    own.ears = ears = Listener(own.broker.port)
    await until(lambda: ears.last.get("yard/availability") == "online", 60, "it connects again")
    await until(lambda: "yard/evse/EVSE-12/state" in ears.last and config in ears.last, 15, "told")


async def test_an_evse_that_is_gone_is_cleared_also_after_a_restart(own):
    await own.start()
    ears, topic = own.ears, "homeassistant/device/yard_evse_EVSE-12/config"
    await until(lambda: ears.last.get(topic), 15, "it is there")
    text = own.daemon.config.read_text()
    await own.daemon.stop()
    own.daemon.config.write_text(text[:text.rindex("[[evse]]")])
    await own.daemon.start()
    await until(lambda: ears.last.get(topic) == "", 20, "its document is gone")
    await until(lambda: ears.last.get("yard/evse/EVSE-12/state") == "", 5, "and its state")
    assert ears.last["yard/evse/EVSE-11/state"]
    own.daemon.config.write_text(own.daemon.config.read_text().replace(PUBLISH, ""))
    own.daemon.reload()
    await until(lambda: ears.last["homeassistant/device/yard_site/config"] == "", 15, "all cleared")
    await until(lambda: ears.last["yard/availability"] == "offline", 5, "and offline")


async def test_figures_are_told_at_their_pace(own):
    own.daemon.config.write_text(publishing(own.daemon).replace("every_s = 2", "every_s = 5"))
    await own.start()
    own.meter.other = [3.0] * 3
    await own.all_charge()
    ears = own.ears
    await until(lambda: "yard/evse/EVSE-12/state" in ears.last, 15, "all is told")
    before, began = dict(ears.count), time.monotonic()
    for step in range(40):
        own.meter.other = [3.0 - step * 0.05] * 3  # each reading is another one
        await asyncio.sleep(0.5)
    seconds = time.monotonic() - began
    told_now = {topic: count - before.get(topic, 0) for topic, count in ears.count.items()
                if topic.startswith("yard/")}
    assert 2 <= told_now["yard/site/state"] <= seconds / 5 + 2, told_now
    assert all(count <= seconds / 5 + 3 for count in told_now.values()), told_now
    note(f"{sum(told_now.values())} MQTT messages in {seconds:.0f} s of 12 cars that charge")


@pytest.fixture
async def secure(binary, tmp_path):
    """A site whose broker wants TLS, a certificate and a password."""
    made = certificates(tmp_path / "certificates")
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(tmp_path / "passwords"), "box", "s3cret"],
                   check=True)
    broker = Mosquitto(tmp_path / "broker", f"""
allow_anonymous false
password_file {tmp_path}/passwords
cafile {made}/ca.pem
certfile {made}/server.pem
keyfile {made}/server.key
require_certificate true
""").start()
    site = Site(binary, tmp_path, broker.port)
    password = tmp_path / "mqtt.password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    site.password, site.made = password, made

    def prepare(client):
        client.tls_set(f"{made}/ca.pem", f"{made}/client.pem", f"{made}/client.key")
        client.username_pw_set("box", "s3cret")

    site.ears = Listener(broker.port, prepare)
    yield site
    faults = await site.finish()
    site.ears.close()
    broker.stop()
    assert not faults, "\n".join(faults)


def tls_lines(site, ca="ca.pem"):
    return (f'tls = true\nca_file = "{site.made}/{ca}"\n'
            f'certificate_file = "{site.made}/client.pem"\nkey_file = "{site.made}/client.key"\n'
            f'username = "box"\npassword_file = "{site.password}"\n')


async def test_the_broker_is_spoken_to_inside_tls(secure):
    daemon, ears = secure.daemon, secure.ears
    daemon.config.write_text(publishing(daemon, tls_lines(secure)))
    await daemon.start()
    await until(lambda: ears.last.get("yard/availability") == "online", 15, "it tells", daemon)
    await daemon.sees("broker.up")
    ears.say("site/grid", json.dumps({"current": {"l1": 1, "l2": 2, "l3": 3}}))
    await until(lambda: told(ears, "yard/site/state").get("import_w") == 1380, 10, "it hears", daemon)


async def test_a_broker_of_another_root_and_an_open_password_are_refused(secure):
    daemon = secure.daemon
    certificates(secure.made / "others")
    daemon.config.write_text(publishing(daemon, tls_lines(secure, "others/ca.pem")))
    await daemon.start()
    await daemon.sees("broker.down", "TLS: invalid peer certificate")
    await daemon.stop()
    secure.password.chmod(0o644)
    daemon.config.write_text(publishing(daemon, tls_lines(secure)))
    await daemon.start()
    await daemon.sees("broker.down", "its mode is 644, expected 640 or 600")
