#!/usr/bin/env python3
"""Parses every file of the layer with BitBake's own parser, and looks at what the recipe names.

Needs the package bitbake-setup, which has the parser as the library `bb`; the classes of
OpenEmbedded-Core are stubs, so this finds errors of syntax and of names, and builds nothing.
"""

import hashlib
import re
import sys
import tempfile
import types
from pathlib import Path

# Left out of the package; only the signature generator imports them.
for absent in ("hashserv", "hashserv.client"):
    sys.modules[absent] = types.ModuleType(absent)
sys.modules["hashserv"].__path__ = []
sys.modules["hashserv"].client = sys.modules["hashserv.client"]

import bb  # noqa: E402
import bb.data  # noqa: E402
import bb.parse  # noqa: E402
import bb.siggen  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
LAYER = ROOT / "yocto/meta-ampgate"

CLASSES = ["base", "cargo", "cargo-update-recipe-crates", "systemd", "useradd", "core-image",
           "bundle"]

CONFIGURATION = r'''
TMPDIR = "${TOPDIR}/tmp"
MACHINE = "raspberrypi4-64"
PN = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[0] or 'none'}"
PV = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[1] or '1.0'}"
BPN = "${PN}"
BP = "${BPN}-${PV}"
WORKDIR = "${TMPDIR}/${PN}"
UNPACKDIR = "${WORKDIR}/sources"
S = "${UNPACKDIR}/${BP}"
D = "${WORKDIR}/image"
localstatedir = "/var"
sysconfdir = "/etc"
mandir = "/usr/share/man"
docdir = "/usr/share/doc"
systemd_system_unitdir = "/usr/lib/systemd/system"
'''


def stubs(folder):
    (folder / "conf").mkdir()
    (folder / "classes").mkdir()
    (folder / "conf/bitbake.conf").write_text(CONFIGURATION)
    for name in CLASSES:
        (folder / f"classes/{name}.bbclass").write_text("")


def base(folder):
    data = bb.data.init()
    data.setVar("LAYERDIR", str(LAYER))
    data.setVar("BBPATH", f"{folder}:{LAYER}")
    data.setVar("TOPDIR", str(folder))
    data.setVar("BBFILES", "")
    bb.parse.siggen = bb.siggen.init(data)
    data = bb.parse.handle(str(folder / "conf/bitbake.conf"), data, True)
    return bb.parse.handle(str(LAYER / "conf/layer.conf"), data, True)


def parsed(folder, path):
    data = bb.data.createCopy(base(folder))
    data.setVar("FILE", str(path))
    data.setVar("__bbclasstype", "recipe")
    text = path
    if path.suffix == ".bbappend":  # the parser takes these only together with their recipe
        text = folder / f"{path.stem}.inc"
        text.write_text(path.read_text())
    found = bb.parse.handle(str(text), data)
    return found[""] if isinstance(found, dict) else found


def look(path, data):
    """What is wrong with a recipe that could be parsed."""
    if path.suffix == ".bb":
        for name in ("SUMMARY", "LICENSE"):
            if not data.getVar(name):
                yield f"{name} is empty"
    if path.name == "ampgate_git.bb":
        for unit in data.getVar("SYSTEMD_SERVICE:ampgate").split():
            if not (ROOT / "systemd" / unit).exists():
                yield f"{unit} is not in systemd/"
        digest = hashlib.md5((ROOT / "LICENSE").read_bytes()).hexdigest()
        if digest not in data.getVar("LIC_FILES_CHKSUM"):
            yield f"LIC_FILES_CHKSUM: LICENSE has md5 {digest}"
        for file in re.findall(r"\$\{S\}/([\w./-]+\.\w+)", path.read_text()):
            if not (ROOT / file).exists():
                yield f"{file} is installed and not in the repository"
        crates = sum(uri.startswith("crate://") for uri in data.getVar("SRC_URI").split())
        if crates < 100:
            yield f"only {crates} crates in SRC_URI"
        version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
        if not data.getVar("PV").startswith(version):
            yield f"PV is {data.getVar('PV')}, the program {version}"


def main():
    failed = passed = 0
    with tempfile.TemporaryDirectory() as folder:
        stubs(Path(folder))
        for path in sorted([*LAYER.rglob("*.bb"), *LAYER.rglob("*.bbappend")]):
            try:
                faults = list(look(path, parsed(Path(folder), path)))
            except Exception as error:  # whatever the parser has to say
                faults = [f"{type(error).__name__}: {error}"]
            passed, failed = passed + (not faults), failed + bool(faults)
            print(f"{path.relative_to(LAYER)}: {'; '.join(faults) or 'ok'}")
    print(f"{passed} parsed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
