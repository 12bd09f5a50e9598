"""A site that speaks OCPI with a partner of the tests, for the suites of partners."""

from charger import utc_text
from ocpi_partner import Partner
from site_harness import configuration, free_port, until

TARIFFS = """
[[ocpi.tariff]]
id = "day-night"
[[ocpi.tariff.element]]
per_kwh = 0.41
vat_percent = 20
from = "17:00"
until = "20:00"
[[ocpi.tariff.element]]
per_kwh = 0.24
vat_percent = 20

[[ocpi.tariff]]
id = "steps"
[[ocpi.tariff.element]]
flat = 1.0
per_kwh = 0.30
step_wh = 1000
per_hour = 1.20
step_s = 900
vat_percent = 10

[[ocpi.tariff]]
id = "bands"
[[ocpi.tariff.element]]
per_kwh = 0.20
max_kwh = 10.0
[[ocpi.tariff.element]]
per_kwh = 0.50
min_kwh = 10.0

[[ocpi.tariff]]
id = "weekend"
[[ocpi.tariff.element]]
per_kwh = 0.10
days = ["SATURDAY", "SUNDAY"]
[[ocpi.tariff.element]]
per_kwh = 0.33
per_hour = 0.60
max_duration_s = 3600
[[ocpi.tariff.element]]
per_kwh = 0.66

[[ocpi.tariff]]
id = "parking"
[[ocpi.tariff.element]]
per_kwh = 0.25
parking_per_hour = 6.0
step_s = 60
vat_percent = 21

[[ocpi.connector]]
evse = "EVSE-06"
tariff = "steps"
[[ocpi.connector]]
evse = "EVSE-07"
tariff = "bands"
[[ocpi.connector]]
evse = "EVSE-08"
tariff = "weekend"
[[ocpi.connector]]
evse = "EVSE-09"
tariff = "parking"
"""


def ocpi_configuration(ports, version="2.2.1", name="Test yard", tariffs=TARIFFS,
                       access="anyone = true"):
    """The site of the harness as a CPO with one partner."""
    text = configuration(ports, access=access).replace(
        "[listen]", f'[listen]\nocpi = "127.0.0.1:{ports["ocpi"]}"', 1)
    return text + f"""
[ocpi]
country_code = "FR"
party_id = "AMP"
name = "{name}"
update_s = 5

[ocpi.location]
id = "YARD-1"
address = "17 avenue des Tests"
city = "Grenoble"
postal_code = "38000"
country = "FRA"
latitude = "45.20670"
longitude = "5.69310"
{tariffs}
[[partner]]
id = "operator"
mode = "gateway"
versions = ["{version}"]
poll_s = 5
"""


async def started(site, version="2.2.1", **more):
    """Starts the site with a partner beside it that is not registered yet."""
    site.daemon.ports["ocpi"] = free_port()
    site.daemon.config.write_text(ocpi_configuration(site.daemon.ports, version, **more))
    partner = Partner(version)
    partner.mend()
    await site.start()
    return partner


async def registered(site, version="2.2.1", **more):
    """The same, and the partner has registered with the box."""
    partner = await started(site, version, **more)
    partner.register(await site.daemon.cli("partner", "invite", "operator"))
    await until(lambda: partner.told("locations"), 20, "the location is told", site.daemon)
    return partner


def queue(charger, count, begin, every=300.0, lasts=200.0, energy=1000):
    """Offline sessions of a charger, their energies rising by one."""
    for number in range(count):
        begun = begin + every * number
        charger.offline_session(f"TAG-{charger.identity[-2:]}", begun, begun + lasts,
                                energy + number)


def ids(objects):
    return [one["id"] for one in objects]


def token(partner, uid, **more):
    return {"country_code": partner.country, "party_id": partner.party, "uid": uid,
            "type": "APP_USER", "contract_id": "NL-TNM-C1", "issuer": "TNM", "valid": True,
            "whitelist": "ALWAYS", "last_updated": utc_text(), **more}
