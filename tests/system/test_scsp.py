"""The SCSP loop of config/garage.toml against the double of an operator, over real sockets: sessions
in, profiles out, and what the evening costs against uncontrolled."""

import asyncio
import json
import subprocess
from pathlib import Path

from site_harness import note

GARAGE = Path(__file__).resolve().parents[2] / "config" / "garage.toml"

# Four cars that stay from the dear evening into the cheap night.
SESSIONS = """session_id,evse_id,user_id,arrival_utc,departure_utc,energy_kwh,vehicle_phases,vehicle_max_a
s1,EVSE-01,u1,2024-03-04T18:10:00Z,2024-03-05T00:30:00Z,5.0,1,16
s2,EVSE-02,u2,2024-03-04T18:20:00Z,2024-03-05T00:30:00Z,4.0,1,16
s3,EVSE-03,u3,2024-03-04T18:40:00Z,2024-03-05T00:30:00Z,6.0,1,16
s4,EVSE-05,u4,2024-03-04T19:00:00Z,2024-03-05T00:30:00Z,3.5,1,16
"""
PRICES = "time_utc,price_eur_per_mwh\n" + "".join(
    f"2024-03-0{4 + hour // 24}T{hour % 24:02d}:00:00Z,{260 if hour < 21 else 40}\n"
    for hour in range(16, 32))


async def loop(binary, folder, *words):
    """One evening at speed; the figures of the provider and of uncontrolled charging."""
    sessions, prices, figures = folder / "s.csv", folder / "p.csv", folder / "figures.json"
    sessions.write_text(SESSIONS)
    prices.write_text(PRICES)
    done = await asyncio.to_thread(
        subprocess.run,
        [binary, "twin", "cpo", "--config", GARAGE, "--sessions", sessions, "--price", prices,
         "--inside", "--from", "2024-03-04T18:00:00Z", "--hours", "7", "--speed", "240",
         "--listen", "127.0.0.1:0", "--json", figures, *words],
        capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    both = json.loads(figures.read_text())
    return both["provider"], both["uncontrolled"], done.stdout


async def test_a_provider_moves_the_evening_into_the_cheap_night(binary, tmp_path):
    provider, free, said = await loop(binary, tmp_path)
    assert "cost, EUR" in said, "printed beside uncontrolled"
    assert provider["sessions"] == 4 and 4 <= provider["setpoints_sent"]
    assert 0.9 * free["ev_energy_kwh"] < provider["ev_energy_kwh"], "the cars get their energy"
    assert provider["energy_cost_eur"] < 0.8 * free["energy_cost_eur"]
    note(f"SCSP loop: {provider['energy_cost_eur']:.2f} EUR against "
         f"{free['energy_cost_eur']:.2f} uncontrolled, {provider['setpoints_sent']} profiles, "
         f"{provider['unmet_energy_kwh']:.2f} kWh unmet")
