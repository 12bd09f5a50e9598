"""The OCPI listener with a certificate of its own: a foreign client inside TLS, a certificate that is
renewed while it runs, and what the log says of requests."""

import asyncio
import http.client
import json
import shutil
import ssl
import subprocess

from ocpi_partner import encoded
from partner_site import ocpi_configuration
from site_harness import free_port, note, until


class Client:
    """Speaks HTTP/1.1 inside TLS and trusts one root alone."""

    def __init__(self, port, root):
        self.port, self.context = port, ssl.create_default_context(cadata=root)

    def get(self, path, token, **headers):
        """(status, envelope or text, headers, serial number of the certificate)"""
        line = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10,
                                           context=self.context)
        line.request("GET", path, headers={"Authorization": encoded(token), **headers})
        serial = line.sock.getpeercert()["serialNumber"]
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        return (answer.status, json.loads(text) if text.startswith("{") else text,
                dict(answer.getheaders()), serial)


def make(binary, data):
    """A certificate of a site's own authority for 127.0.0.1; its root."""
    for words in (["init", "127.0.0.1"], ["root"]):
        done = subprocess.run([binary, "ca", *words, "--data", data], capture_output=True,
                              text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(data):
    """Certificate and key of the server, wherever the authority keeps them."""
    found = {"certificate": None, "key": None}
    for path in sorted(data.rglob("*")):
        if path.is_file() and "server" in path.name:
            text = path.read_text(errors="replace")
            kind = "key" if "PRIVATE KEY" in text else "certificate"
            found[kind] = found[kind] or path
    return found["certificate"], found["key"]


async def test_the_listener_speaks_tls_and_takes_a_renewed_certificate(idle, tmp_path):
    daemon = idle.daemon
    port = daemon.ports["ocpi"] = free_port()
    shown = tmp_path / "ocpi.pem", tmp_path / "ocpi.key"
    root = make(daemon.binary, tmp_path / "first")
    for source, target in zip(files(tmp_path / "first"), shown):
        shutil.copy(source, target)
    daemon.config.write_text(ocpi_configuration(daemon.ports).replace(
        "[ocpi]\n", f'[ocpi]\ncertificate_file = "{shown[0]}"\nkey_file = "{shown[1]}"\n', 1))
    await idle.start()
    assert f"https://127.0.0.1:{port}/ocpi/versions" in daemon.log_tail(200)
    invitation = (await daemon.cli("partner", "invite", "operator")).split()
    token, url = invitation[invitation.index("A") + 1], invitation[-1]
    assert url == f"https://127.0.0.1:{port}/ocpi/versions", url
    client = Client(port, root)
    status, answer, headers, before = await asyncio.to_thread(
        client.get, "/ocpi/versions", token, **{"X-Request-ID": "request-7"})
    assert status == 200 and answer["data"][0]["url"].startswith("https://"), answer
    assert headers["x-request-id"] == "request-7", "the id comes back"
    refused = await asyncio.to_thread(
        client.get, "/ocpi/2.2.1/sender/locations?offset=x", token, **{"X-Request-ID": "r-8"})
    assert refused[0] == 401, "a token A is good for versions and credentials alone"

    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("GET", "/ocpi/versions", headers={"Authorization": encoded(token)})
        assert line.getresponse().status == 400, "no answer in clear"
    except (http.client.HTTPException, OSError):
        pass

    # Another authority, so that a client with the old root sees the change too.
    root = make(daemon.binary, tmp_path / "second")
    shown[0].write_text("half a file")
    await daemon.sees("security.secrets_unusable", "ocpi certificate", timeout=20)
    assert (await asyncio.to_thread(client.get, "/ocpi/versions", token))[3] == before
    for source, target in zip(files(tmp_path / "second"), shown):
        shutil.copy(source, target)
    await daemon.sees("security.secrets_loaded", "ocpi certificate", timeout=20)
    renewed = Client(port, root)
    status, *_, after = await asyncio.to_thread(renewed.get, "/ocpi/versions", token)
    assert status == 200 and after != before, "without a restart"
    log = daemon.log_tail(100000)
    assert token not in log, "no token in the log"
    note("OCPI inside TLS: a renewed certificate was shown without a restart")


async def test_who_asks_without_end_waits_and_long_bodies_are_refused(idle):
    daemon = idle.daemon
    port = daemon.ports["ocpi"] = free_port()
    daemon.config.write_text(ocpi_configuration(daemon.ports))
    await idle.start()

    def hammer(count):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        seen = {}
        for _ in range(count):
            line.request("GET", "/ocpi/versions", headers={"Authorization": encoded("nobody")})
            answer = line.getresponse()
            answer.read()
            seen[answer.status] = seen.get(answer.status, 0) + 1
            if answer.status == 429:
                assert answer.getheader("Retry-After") == "1"
                break
        line.close()
        return seen

    def long():
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            line.request("POST", "/ocpi/2.2.1/credentials", body=b"x" * (5 << 20),
                         headers={"Authorization": encoded("nobody")})
            return line.getresponse().status
        except (BrokenPipeError, ConnectionResetError):
            return 413
        finally:
            line.close()

    assert await asyncio.to_thread(long) == 413
    seen = await asyncio.to_thread(hammer, 5000)
    assert seen.get(429) == 1 and 1000 <= seen[401], seen
    note(f"OCPI: {seen[401]} requests without a pause were looked at, then 429")
    await until(lambda: "panicked" not in daemon.log_tail(1000), 1, "it lives")
