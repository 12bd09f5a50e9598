#!/usr/bin/env python3
"""The list of crates for the recipe, from Cargo.lock.

    yocto/crates.py           writes it
    yocto/crates.py --check   exit 1 if it is not that of Cargo.lock
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "yocto/meta-ampgate/recipes-ampgate/ampgate/ampgate-crates.inc"


def listing():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    found = [one for one in lock["package"] if "checksum" in one]
    crates = sorted((one["name"], one["version"], one["checksum"]) for one in found)
    # As the fetcher names the public index: the last word of its address.
    index = found[0]["source"].rsplit("/", 1)[1].removesuffix("-index")
    lines = ["# Made by yocto/crates.py from Cargo.lock; do not edit.", 'SRC_URI += "\\']
    lines += [f"    crate://{index}/{name}/{version} \\" for name, version, _ in crates]
    lines += ['"', ""]
    lines += [f'SRC_URI[{name}-{version}.sha256sum] = "{checksum}"'
              for name, version, checksum in crates]
    return "\n".join(lines) + "\n"


def main():
    if "--check" not in sys.argv:
        LIST.write_text(listing())
    elif not LIST.exists() or LIST.read_text() != listing():
        sys.exit(f"{LIST.relative_to(ROOT)} is not that of Cargo.lock; expected: run yocto/crates.py")
    print(f"{listing().count('crate://')} crates")


if __name__ == "__main__":
    main()
