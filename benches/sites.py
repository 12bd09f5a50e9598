"""Simulates sites and years that nothing was tuned to, the plan beside the rule, as a table.

    cargo build --release
    python3 benches/sites.py target/release/ampgate DATA [CASE…]

DATA holds scenario/, pv/, load/, price/ and sessions/: CSV.gz files with the columns that `ampgate
simulate --help` names, none of which the program ships. A series of another year is moved by whole
weeks to the year of the sessions, and what is then missing at an end is filled from the week beside
it. Needs Python 3 alone.
"""

import csv
import datetime as dt
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

WEEK = dt.timedelta(weeks=1)
OFFICE_KWP = 35
LOAD_KW = 15
APARTMENTS = 8


def rows(path: pathlib.Path) -> list[dict]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def series(path: pathlib.Path, column: str, factor: float = 1.0) -> list[tuple]:
    """Time and value; what a source lacks is taken as it was before."""
    found, last = [], 0.0
    for row in rows(path):
        last = float(row[column]) * factor if row[column] else last
        found.append((moment(row["time_utc"]), last))
    return found


def moved(values: list[tuple], begin: str, end: str) -> list[tuple]:
    """The series by whole weeks in the span, its ends filled from the weeks beside them."""
    first, last = moment(begin), moment(end)
    weeks = round((values[0][0] - first) / WEEK) * WEEK
    here = {at - weeks: value for at, value in values}
    step = min(later[0] - early[0] for early, later in zip(values, values[1:]))
    filled, at = [], first
    while at < last:
        near = (at, at + WEEK, at - WEEK, at + 2 * WEEK, at - 2 * WEEK)
        value = next((here[other] for other in near if other in here), None)
        if value is not None:
            filled.append((at, value))
        at += step
    return filled


def written(folder: pathlib.Path, name: str, column: str, values: list[tuple]) -> str:
    path = folder / f"{name}.csv"
    with path.open("w") as file:
        file.write(f"time_utc,{column}\n")
        file.writelines(f"{at:%Y-%m-%dT%H:%M:%SZ},{value:.6f}\n" for at, value in values)
    return str(path)


def apartments(data: pathlib.Path, folder: pathlib.Path) -> str:
    """A year of the busiest drivers of a garage, each at a place of their own."""
    all_rows = rows(data / "sessions/trondheim-apartments-2018-12_2019-09.csv.gz")
    mine = [row for row in all_rows if row["garage_id"] == "Bl2" and float(row["energy_kwh"]) > 0.5]
    counts: dict[str, int] = {}
    for row in mine:
        counts[row["user_id"]] = counts.get(row["user_id"], 0) + 1
    busiest = sorted(counts, key=counts.get, reverse=True)[:APARTMENTS]
    place = {user: f"FLAT-{at + 1:02}" for at, user in enumerate(busiest)}
    path = folder / "apartments.csv"
    with path.open("w") as file:
        file.write("session_id,evse_id,user_id,arrival_utc,departure_utc,energy_kwh,"
                   "vehicle_phases,vehicle_max_a\n")
        for row in sorted(mine, key=lambda row: row["arrival_utc"]):
            if row["user_id"] in place:
                file.write(",".join([row["session_id"], place[row["user_id"]], row["user_id"],
                                     row["arrival_utc"], row["departure_utc"],
                                     row["energy_kwh"], "1", "32"]) + "\n")
    return str(path)


def at_cost(folder: pathlib.Path, config: str) -> str:
    """A configuration that names no objective, with the cheapest energy as its own."""
    path = folder / pathlib.Path(config).name
    path.write_text(pathlib.Path(config).read_text() + '\n[plan]\nobjective = "cost"\n')
    return str(path)


def cases(data: pathlib.Path, folder: pathlib.Path) -> dict[str, list[str]]:
    """The arguments of each case."""
    scenario = data / "scenario"
    year = ("2018-12-31T23:00:00Z", "2019-12-31T23:00:00Z")
    cea = ["--sessions", f"{scenario}/cea-dev-2019-sessions.csv.gz"]
    bcn = ["--sessions", f"{scenario}/bcn-dev-2023-sessions.csv.gz"]
    office, tight = ["--config", "config/office.toml"], ["--config", "config/office-tight.toml"]
    turin = ["--pv", f"{scenario}/cea-dev-2019-pv-hourly.csv.gz"]
    load = ["--load", f"{scenario}/tight-dev-2019-load-hourly.csv.gz"]

    def pv(name: str, column: str, kwp: float = OFFICE_KWP) -> str:
        values = moved(series(data / f"pv/{name}.csv.gz", column, kwp), *year)
        return written(folder, f"{name}-{column}", "pv_kw", values)

    def price(name: str, begin: str, end: str) -> str:
        values = moved(series(data / f"price/{name}.csv.gz", "price_eur_per_mwh"), begin, end)
        return written(folder, name, "price_eur_per_mwh", values)

    era5 = pv("pv-turin2019-hourly", "pv_model_era5_kw_per_kwp")
    simbench = series(data / "load/load-simbench-2016-15min-commercial.csv.gz",
                      "g0_a_kw_per_peak_kw", LOAD_KW)
    simbench = written(folder, "load", "load_kw", moved(simbench, *year))
    winter = ("2023-10-08T00:00:00Z", "2024-01-20T00:00:00Z")
    measured = "pv_measured_kw_per_kwp"
    return {
        "office, forecast of a weather model": office + cea + turin + ["--pv-forecast", era5],
        "office, sun of Utrecht 2014": office + cea
        + ["--pv", pv("pv-utrecht2014-hourly", measured)],
        "office, sun of Utrecht 2015": office + cea
        + ["--pv", pv("pv-utrecht2015-hourly", measured)],
        "office, sun and shop of SimBench, 15 min": office + cea
        + ["--pv", pv("pv-simbench-2016-15min-pv1-4", "pv1_kw_per_kwp"), "--load", simbench],
        "office on 25 kVA, prices of NL 2023": tight + cea + turin + load
        + ["--price", price("dayahead-nl-2023-hourly", *year)],
        "garage, prices of ES in 15 min": ["--config", "config/garage.toml"] + bcn
        + ["--price", price("dayahead-es-2025-10_2026-01-15min", *winter),
           "--from", winter[0], "--to", winter[1]],
        "apartments, prices of FR 2019": ["--config", at_cost(folder, "config/apartments.toml")]
        + ["--sessions", apartments(data, folder), "--from", "2019-01-01",
           "--price", f"{data}/price/dayahead-fr-2019-hourly.csv.gz"],
    }


def main() -> None:
    program, data = sys.argv[1], pathlib.Path(sys.argv[2])
    wanted = sys.argv[3:]
    print("| case | policy | sun in the cars | kWh from the grid | EUR | kWh unmet | overload s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        for name, arguments in cases(data, here).items():
            if wanted and not any(word in name for word in wanted):
                continue
            told: dict = {}
            for policy in ("plan", "rule"):
                out = here / "out.json"
                subprocess.run([program, "simulate", *arguments, "--policy", policy,
                                "--preferences", "declared", "--json", str(out)],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                told |= json.loads(out.read_text())
            for policy in ("uncontrolled", "rule", "plan"):
                it = told[policy]
                print(f"| {name} | {policy} | {100 * it['self_production_ratio']:.1f} % | "
                      f"{it['grid_energy_kwh']:.0f} | {it['energy_cost_eur']:.0f} | "
                      f"{it['unmet_energy_kwh']:.0f} | {it['overload_seconds']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
