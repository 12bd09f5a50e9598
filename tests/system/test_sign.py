"""Checksums of a release are signed, and whatever was changed afterwards is found."""

import shutil
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
    web, web_key = keys / "web.pem", keys / "web.key"
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", web_key, "-out", "web.csr",
        "-subj", "/CN=web", cwd=keys)
    run("openssl", "x509", "-req", "-in", "web.csr", "-CA", ours, "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "30", "-out", web, cwd=keys)
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
    # What a stranger types, who has none of our programs; the authority by a relative path.
    page = (ROOT / "docs/appliance.md").read_text().split("needs nothing of ours", 1)[1]
    typed = page.split("```sh\n", 1)[1].split("```", 1)[0]
    shutil.copy(ours, out / "ca.cert.pem")
    done = run("sh", "-e", "-c", typed, cwd=out)
    assert done.returncode == 0 and "Code Signing" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count(": OK") == 2, done.stdout
    assert run(sign, "--check", "ca.cert.pem", ".", cwd=out).returncode == 0
    # The same authority has signed a certificate for a web server.
    done = run("openssl", "cms", "-sign", "-binary", "-in", "SHA256SUMS", "-signer", web,
               "-inkey", web_key, "-outform", "PEM", "-md", "sha256", "-out", "SHA256SUMS.p7s",
               cwd=out)
    assert done.returncode == 0, done.stderr
    done = run(sign, "--check", ours, out)
    assert done.returncode != 0 and "not for signing code" in done.stderr, done.stderr
    assert run(sign, key, certificate, *files).returncode == 0
    files[0].write_bytes(b"changed")
    assert run(sign, "--check", ours, out).returncode != 0, "a changed file"
    done = run("sha256sum", *[file.name for file in files], cwd=out)
    (out / "SHA256SUMS").write_text(done.stdout)
    assert run(sign, "--check", ours, out).returncode != 0, "changed sums"
