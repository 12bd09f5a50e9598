"""Checksums of a release are signed, and whatever was changed afterwards is found."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*words, cwd=None):
    return subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)


def authority(folder, name):
    """A root, and a certificate of it that may sign code."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out",
        f"{name}.pem", "-days", "30", "-subj", f"/CN={name}", cwd=folder)
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-release.key", "-out",
        "release.csr", "-subj", "/CN=release", cwd=folder)
    (folder / "ext").write_text("keyUsage=critical,digitalSignature\n"
                                "extendedKeyUsage=codeSigning\n")
    run("openssl", "x509", "-req", "-in", "release.csr", "-CA", f"{name}.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "30", "-extfile", "ext", "-out", f"{name}-release.pem",
        cwd=folder)
    return folder / f"{name}.pem", folder / f"{name}-release.key", folder / f"{name}-release.pem"


def test_what_was_changed_after_signing_is_found(tmp_path):
    keys, out = tmp_path / "keys", tmp_path / "out"
    keys.mkdir(), out.mkdir()
    ours, key, certificate = authority(keys, "ours")
    theirs, _, _ = authority(keys, "theirs")
    files = [out / name for name in ("ampgate_1_arm64.deb", "ampgate.raucb")]
    for file in files:
        file.write_bytes(file.name.encode() * 1000)
    sign = ROOT / "cross/sign"
    done = run(sign, key, certificate, *files)
    assert done.returncode == 0, done.stderr
    assert run(sign, "--check", ours, out).returncode == 0
    assert run(sign, "--check", theirs, out).returncode != 0, "another authority"
    assert run(sign, key, ours, *files).returncode != 0, "a certificate that may not sign code"
    files[0].write_bytes(b"changed")
    assert run(sign, "--check", ours, out).returncode != 0, "a changed file"
    done = run("sha256sum", *[file.name for file in files], cwd=out)
    (out / "SHA256SUMS").write_text(done.stdout)
    assert run(sign, "--check", ours, out).returncode != 0, "changed sums"
