#!/usr/bin/env python3
"""What the program is made of: `copyright` with every licence, `ampgate.cdx.json` (CycloneDX 1.5).

    cross/materials.py FOLDER

Reads `cargo metadata` and the sources that cargo has unpacked, so it needs cargo and nothing else.
Counts what is linked into the appliance's build: normal dependencies, without the demo's broker.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def metadata():
    # Linux on ARM; the set is the same for the three architectures.
    words = ["cargo", "metadata", "--format-version", "1", "--locked", "--no-default-features",
             "--filter-platform", "aarch64-unknown-linux-gnu"]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)


def linked(data):
    """The packages behind normal dependencies, by name and version; ours first."""
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    seen, waiting = set(), [root]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        if any("proc-macro" in target["kind"] for target in packages[here]["targets"]):
            continue  # runs in the compiler and is not in the program
        seen.add(here)
        waiting += [dep["pkg"] for dep in nodes[here]["deps"]
                    if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    rest = sorted((packages[one] for one in seen - {root}), key=lambda p: (p["name"], p["version"]))
    return packages[root], rest


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}


def texts(package):
    """Licence texts in the source of a package."""
    folder = Path(package["manifest_path"]).parent
    names = re.compile(r"^(licen[cs]e|copying|notice|unlicense|copyright)", re.I)
    for path in sorted(folder.iterdir()):
        if path.is_file() and names.match(path.name) and not path.suffix == ".rs":
            yield path.read_text(errors="replace").strip()


def copyright(ours, others):
    lines = ["Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
             "Upstream-Name: Ampgate", "", "Files: *", "Copyright: the Ampgate authors",
             f"License: {ours['license']}", "",
             f"The program contains {len(others)} libraries, each under its own licence:", ""]
    known, order = {}, []
    for package in others:
        marks = []
        for text in texts(package):
            digest = hashlib.sha256(text.encode()).hexdigest()
            if digest not in known:
                known[digest] = len(known) + 1
                order.append(text)
            marks.append(f"[{known[digest]}]")
        licence = package["license"] or f"see {package['license_file']}"
        lines.append(f"  {package['name']} {package['version']}: {licence} {''.join(marks)}".rstrip())
    for number, text in enumerate([(ROOT / 'LICENSE').read_text(), *order]):
        title = "Ampgate itself" if number == 0 else f"[{number}]"
        lines += ["", "-" * 78, title, "-" * 78, text]
    return "\n".join(lines) + "\n"


def bill(ours, others):
    sums = checksums()

    def component(package, kind):
        found = {"type": kind, "bom-ref": f"{package['name']}@{package['version']}",
                 "name": package["name"], "version": package["version"],
                 "purl": f"pkg:cargo/{package['name']}@{package['version']}"}
        if package["license"]:
            expression = package["license"].replace("/", " OR ")
            found["licenses"] = [{"expression": expression}]
        digest = sums.get((package["name"], package["version"]))
        if digest:
            found["hashes"] = [{"alg": "SHA-256", "content": digest}]
        return found

    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "metadata": {"component": component(ours, "application")},
            "components": [component(package, "library") for package in others]}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    ours, others = linked(metadata())
    (folder / "copyright").write_text(copyright(ours, others))
    text = json.dumps(bill(ours, others), indent=1, sort_keys=True)
    (folder / "ampgate.cdx.json").write_text(text + "\n")
    print(f"{len(others)} libraries in copyright and ampgate.cdx.json")


if __name__ == "__main__":
    main()
