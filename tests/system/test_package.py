"""The Debian package: made, installed, upgraded, removed and purged in a tree of its own."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from site_harness import note

ROOT = Path(__file__).resolve().parents[2]

def run(*words, check=True, timeout=600, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL, **more)
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


def package(binary, version, folder):
    run(ROOT / "cross/package", "amd64", binary, env=os.environ | {"VERSION": version})
    made = ROOT / f"target/cross/ampgate_{version}_amd64.deb"
    return Path(shutil.move(made, folder / made.name))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A small Debian in a folder, with systemd's tools and without a running systemd."""
    assert shutil.which("mmdebstrap"), "mmdebstrap is not installed"
    tree = tmp_path_factory.mktemp("debian") / "tree"
    ready = os.environ.get("AMPGATE_TREE")
    if not ready:
        ready = tree.with_suffix(".tar")
        run("mmdebstrap", "--variant=apt", "--include=systemd,init-system-helpers,libgcc-s1",
            "bookworm", ready, *os.environ.get("DEBIAN_MIRROR", "").split())
    tree.mkdir()
    run("tar", "-xf", ready, "-C", tree, "--exclude=./dev/*")
    yield tree
    shutil.rmtree(tree, ignore_errors=True)


def inside(tree, *words, check=True):
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
             "LC_ALL": "C"}
    return run("chroot", tree, *words, check=check, env=clean)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its root")
def test_installed_upgraded_removed_and_purged(binary, tree, tmp_path):
    first, second = package(binary, "0.0.1", tmp_path), package(binary, "0.0.2", tmp_path)
    note(f"{first.name}: {first.stat().st_size} bytes")
    for deb in (first, second):
        shutil.copy(deb, tree / "tmp")

    said = inside(tree, "dpkg", "-i", f"/tmp/{first.name}").stdout
    assert "write /etc/ampgate/site.toml" in said, said
    enabled = tree / "etc/systemd/system/multi-user.target.wants/ampgate.service"
    assert enabled.is_symlink()
    user = inside(tree, "getent", "passwd", "ampgate").stdout
    assert user.rstrip().endswith("nologin"), user
    listing = inside(tree, "stat", "-c", "%U:%G %a", "/etc/ampgate", "/var/lib/ampgate").stdout
    assert listing.split("\n")[:2] == ["root:ampgate 750", "ampgate:ampgate 750"], listing
    for example in ("office", "garage"):
        where = f"/usr/share/doc/ampgate/examples/{example}.toml"
        assert "can be used" in inside(tree, "ampgate", "check", "--config", where).stdout

    docs = tree / "usr/share/doc/ampgate"
    bill = json.loads((docs / "ampgate.cdx.json").read_text())
    names = {component["name"] for component in bill["components"]}
    assert {"tokio", "redb", "rustls", "microlp"} <= names and "rumqttd" not in names
    assert all(component.get("hashes") for component in bill["components"])
    licences = (docs / "copyright").read_text()
    assert all(f"  {name} " in licences for name in names)
    page = gzip.decompress((tree / "usr/share/man/man1/ampgate.1.gz").read_bytes())
    assert b"ampgate status" in page

    site, default = tree / "etc/ampgate/site.toml", tree / "etc/default/ampgate"
    site.write_text("# of this site\n")
    default.write_text("AMPGATE_LOG=debug\n")
    store = tree / "var/lib/ampgate/ampgate.redb"
    store.write_text("sessions\n")
    inside(tree, "dpkg", "-i", f"/tmp/{second.name}")
    assert "0.0.2" in inside(tree, "dpkg-query", "-W", "ampgate").stdout
    assert site.read_text() == "# of this site\n" and "debug" in default.read_text()
    assert enabled.is_symlink()

    inside(tree, "dpkg", "-r", "ampgate")
    assert not (tree / "usr/bin/ampgate").exists()
    assert site.exists() and default.exists() and store.exists()

    said = inside(tree, "dpkg", "-P", "ampgate").stdout
    assert "stay in /var/lib/ampgate" in said, said
    assert not site.exists() and not default.exists() and store.exists()
    assert not enabled.is_symlink()
    left = [path for folder in ("etc", "usr", "lib") for path in (tree / folder).rglob("*ampgate*")
            if "passwd" not in path.name and not path.is_dir()]
    assert not left, left

    store.unlink()
    inside(tree, "dpkg", "-i", f"/tmp/{second.name}")
    inside(tree, "dpkg", "-P", "ampgate")
    assert not (tree / "var/lib/ampgate").exists()
