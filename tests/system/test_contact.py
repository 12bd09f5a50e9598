"""Limits from outside that outlive the box, and a contact that limits, read from a file."""

import json
import os

import pytest

from site_harness import configuration, until
from test_mqtt_out import own, publishing  # noqa: F401  (the fixture)

CONTACT = """
[[limit]]
id = "§14a contact"
contact_file = "{file}"
active = "high"
limit_kw = 30
"""


def put(file, text):
    """Whole or not at all, as a program that exports its inputs should."""
    fresh = file.with_suffix(".fresh")
    fresh.write_text(text)
    os.replace(fresh, file)


@pytest.fixture
async def dimmed(idle, tmp_path):
    idle.contact = tmp_path / "dimming"
    text = configuration(idle.daemon.ports) + CONTACT.format(file=idle.contact)
    idle.daemon.config.write_text(text)
    return idle


def below(site, most):
    return lambda: sum(site.allowed()) * 230 <= most


async def test_a_contact_limits_while_it_is_closed_or_cannot_be_read(dimmed):
    site, daemon = dimmed, dimmed.daemon
    await site.start()
    await daemon.sees("limit.contact_unsure", "§14a contact", "cannot be read")
    put(site.contact, "0\n")
    await daemon.sees("limit.outside", "§14a contact", "open: its limit is over")
    await site.all_charge()
    await until(lambda: 33_000 < sum(site.allowed()) * 230, 60, "all may charge", daemon)
    put(site.contact, "1\n")
    await daemon.sees("limit.outside", "closed: limit of 30.0 kW by §14a contact")
    await until(below(site, 30_050), 20, "all together are below", daemon)

    async def holds():
        view = json.loads(await daemon.cli("status", "--json"))
        return [one["source"] for one in view["limits"]] == ["§14a contact"]

    await until(holds, 10, "the contact's limit is shown", daemon)
    # A box that dies and comes back holds it before it has read anything.
    daemon.kill()
    await daemon.start()
    for charger in site.chargers:
        await charger.reconnect()
    await until(holds, 10, "the contact limits again", daemon)
    assert below(site, 30_050)()
    put(site.contact, "0\n")
    await daemon.sees("limit.outside", "open: its limit is over")
    await until(lambda: 33_000 < sum(site.allowed()) * 230, 90, "all may charge again", daemon)
    site.contact.unlink()
    await until(below(site, 30_050), 20, "what cannot be read limits", daemon)


async def test_a_limit_over_mqtt_outlives_a_box_that_is_killed(own):  # noqa: F811
    await own.start()
    await own.all_charge()
    ears = own.ears
    command = {"limit_kw": 20, "minutes": 60, "source": "dimming"}
    ears.say("yard/site/limit_kw/set", json.dumps(command))
    await own.daemon.sees("limit.outside", "limit of 20.0 kW by dimming until")
    await until(below(own, 20_050), 20, "all together are below", own.daemon)
    own.daemon.kill()
    await own.daemon.start()
    view = json.loads(await own.daemon.cli("status", "--json"))
    assert [one["source"] for one in view["limits"]] == ["dimming"], view["limits"]
    for charger in own.chargers:
        await charger.reconnect()
    await own.settled()
    assert below(own, 20_050)(), sum(own.allowed()) * 230
    ears.say("yard/site/limit_kw/set", json.dumps({"limit_kw": None, "source": "dimming"}))
    await own.daemon.sees("limit.outside", "dimming has taken its limit back")
    own.daemon.kill()
    await own.daemon.start()
    view = json.loads(await own.daemon.cli("status", "--json"))
    assert view["limits"] == []
    for charger in own.chargers:
        await charger.reconnect()
