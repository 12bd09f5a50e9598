"""What is around an update: RAUC on a bus of its own, bundles, a web server, and a hawkBit double.

RAUC is the real one (Debian's), with plain bundles, files as slots, and a boot loader that is two
files. A start of the box is a start of RAUC and the daemon with the slot that the boot loader has
first. The hawkBit double is written from the public description of its Direct Device Integration
API.
"""

import asyncio
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from site_harness import free_port, until

COMPATIBLE = "ampgate-test-box"
SLOT_BYTES = 4 << 20

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path={bus}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy>
<include ignore_missing="yes">{folder}/policy.conf</include></busconfig>
"""

SYSTEM = """[system]
compatible={compatible}
bootloader=custom
bundle-formats=verity plain
data-directory={folder}/rauc
mountprefix={folder}/mnt
[handlers]
bootloader-custom-backend={folder}/bootloader
pre-install={folder}/hold-on
[keyring]
path={folder}/ca.pem
check-purpose=codesign
[slot.rootfs.0]
device={folder}/a.img
type=raw
bootname=A
[slot.rootfs.1]
device={folder}/b.img
type=raw
bootname=B
"""

BOOTLOADER = """#!/bin/sh
case "$1" in
get-primary) cat {folder}/boot.primary 2>/dev/null || echo A;;
set-primary) echo "$2" > {folder}/boot.primary; echo good > {folder}/boot.$2;;
get-state) cat {folder}/boot.$2 2>/dev/null || echo good;;
set-state) echo "$3" > {folder}/boot.$2;;
get-current) cat {folder}/boot.current;;
*) exit 1;;
esac
"""

HOLD = """#!/bin/sh
while [ -e {folder}/hold ]; do sleep 0.1; done
"""


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Box:
    """The two systems of a box, and who signs for it."""

    def __init__(self, folder, policy=""):
        self.folder, self.slot, self.rauc = folder, "A", None
        # Where other users reach it, for the test of the policy.
        self.bus_folder = Path(tempfile.mkdtemp(prefix="bus-"))
        self.bus_folder.chmod(0o755)
        for name, text in [("bus.conf", BUS), ("system.conf", SYSTEM), ("bootloader", BOOTLOADER),
                           ("hold-on", HOLD)]:
            text = text.format(folder=folder, compatible=COMPATIBLE, bus=self.bus_folder)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        if policy:
            (folder / "policy.conf").write_text(policy)
        for name in ("rauc", "mnt"):
            (folder / name).mkdir()
        for name in ("a.img", "b.img"):
            with (folder / name).open("wb") as image:
                image.truncate(SLOT_BYTES)
        self._certificates()
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def address(self):
        return f"unix:path={self.bus_folder}/bus"

    def _certificates(self):
        folder = self.folder
        plain = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
        run(*plain, "-x509", "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-days", "30",
            "-subj", "/CN=Test root", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        run(*plain, "-x509", "-keyout", folder / "rogue.key", "-out", folder / "rogue.pem", "-days",
            "30", "-subj", "/CN=Somebody else")
        run(*plain, "-keyout", folder / "release.key", "-out", folder / "release.csr", "-subj",
            "/CN=Release")
        (folder / "release.ext").write_text(
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=codeSigning\n")
        run("openssl", "x509", "-req", "-in", folder / "release.csr", "-CA", folder / "ca.pem",
            "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "30", "-extfile",
            folder / "release.ext", "-out", folder / "release.pem")

    def bundle(self, version, compatible=COMPATIBLE, signer="release"):
        """A signed bundle; its path."""
        content = self.folder / f"content-{version}-{compatible}-{signer}"
        content.mkdir()
        (content / "rootfs.img").write_bytes(os.urandom(SLOT_BYTES // 2))
        (content / "manifest.raucm").write_text(
            f"[update]\ncompatible={compatible}\nversion={version}\n[bundle]\nformat=plain\n"
            "[image.rootfs]\nfilename=rootfs.img\n")
        path = self.folder / f"{content.name}.raucb"
        run("rauc", f"--cert={self.folder}/{signer}.pem", f"--key={self.folder}/{signer}.key",
            "bundle", content, path)
        return path

    def holds(self, version):
        """Whether slot B has the image of this version, byte for byte."""
        image = (self.folder / f"content-{version}-{COMPATIBLE}-release" / "rootfs.img").read_bytes()
        return (self.folder / "b.img").read_bytes()[:len(image)] == image

    async def start(self):
        (self.folder / "boot.current").write_text(self.slot)
        await until((self.bus_folder / "bus").exists, 10, "the bus is there")
        with (self.folder / "rauc.log").open("ab") as log:
            self.rauc = subprocess.Popen(
                ["rauc", "-c", self.folder / "system.conf", f"--mount={self.folder}/mnt",
                 f"--override-boot-slot={self.slot}", "service"], stdout=log, stderr=log,
                env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address})

    def stop(self):
        if self.rauc:
            self.rauc.terminate()
            self.rauc.wait()
            self.rauc = None

    def primary(self):
        file = self.folder / "boot.primary"
        return file.read_text().strip() if file.exists() else "A"

    def end(self):
        self.stop()
        self.bus.terminate()
        self.bus.wait()
        # RAUC that is killed while it writes leaves its bundle mounted.
        for mounted in (self.folder / "mnt").iterdir():
            subprocess.run(["umount", mounted], stdin=subprocess.DEVNULL, capture_output=True)
        shutil.rmtree(self.bus_folder)


class Updated:
    """A site on a box: the daemon's view of updates, and starts of the box."""

    def __init__(self, site, box):
        self.site, self.box, self.daemon = site, box, site.daemon

    def configure(self, update="", servers=""):
        text = self.daemon.config.read_text().split("\n[update]")[0]
        self.daemon.config.write_text(
            f'{text}\n[update]\nbus = "{self.box.address}"\nsettle_s = 2\n{update}\n{servers}\n')

    async def start(self, update="", servers=""):
        self.configure(update, servers)
        await self.box.start()
        await self.site.start()
        # Where an index has something to install, it may be past `idle` before anybody looks.
        await self.until(None, more=lambda view: view["slots"])

    def clock(self, hours):
        """A time of day by the clock of the site (Paris), so many hours from now or a little more."""
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        return later.strftime("%H:%M")

    async def view(self):
        return json.loads(await self.daemon.cli("update", "status", "--json"))

    async def until(self, stage, words="", more=lambda view: True, timeout=30):
        """Waits for a stage (None: any), whose words hold these; the view."""
        seen = []

        async def look():
            seen[:] = [await self.view()]
            view = seen[0]
            is_there = stage in (None, view["stage"])
            fits = is_there and words in view["words"] and more(view)
            return view if fits else None

        return await until(look, timeout, lambda: f"{stage} {words}, is {seen}", self.daemon)

    async def order(self, *words, code=0):
        done = await asyncio.to_thread(
            subprocess.run, [str(word) for word in
                             [self.daemon.binary, "update", *words, "--url", self.daemon.web_url]],
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    async def reboot(self):
        """Waits until the box is to start anew, and starts it with what the boot loader has."""
        wish = self.daemon.data / "update" / "reboot"
        await until(wish.exists, 30, "a start anew is wanted", self.daemon)
        await self.daemon.stop()
        self.box.stop()
        wish.unlink()
        self.box.slot = self.box.primary()
        await self.box.start()
        await self.daemon.start()


class Web:
    """A web server with byte ranges, which may be slow; remembers what was asked."""

    def __init__(self, files):
        self.files, self.ranges, self.slow = files, [], False
        self.port = free_port()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                web.serve(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"

    def serve(self, request):
        content = self.files.get(request.path.lstrip("/"))
        if content is None:
            request.send_response(404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        tag = '"' + hashlib.sha256(content).hexdigest()[:16] + '"'
        wanted, start = request.headers.get("Range"), 0
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if found and request.headers.get("If-Range", tag) == tag:
            start = int(found[1])
            request.send_response(206)
            request.send_header("Content-Range",
                                f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        self.ranges.append(start)
        request.send_header("ETag", tag)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        try:
            for at in range(start, len(content), 65536):
                request.wfile.write(content[at:at + 65536])
                if self.slow:
                    time.sleep(0.3)
        except OSError:
            pass

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class HawkBit:
    """A hawkBit server for one box: polls, actions, feedback, cancellation, consent."""

    TENANT, CONTROLLER, TOKEN = "DEFAULT", "site-17", "s3cret-of-this-box"

    def __init__(self):
        self.port, self.actions, self.open = free_port(), {}, None
        self.feedback, self.attributes, self.refused = [], {}, 0
        self.cancelling, self.consent = None, False
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                double.answer(self, None)

            def do_POST(self):
                double.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            do_PUT = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self):
        return f"/{self.TENANT}/controller/v1/{self.CONTROLLER}"

    def settings(self, folder, more=""):
        token = folder / "hawkbit.token"
        token.write_text(f"{self.TOKEN}\n")
        token.chmod(0o600)
        return (f'[update.hawkbit]\nurl = "{self.url}"\ncontroller_id = "{self.CONTROLLER}"\n'
                f'target_token_file = "{token}"\n{more}\n'
                '[[update.hawkbit.attribute]]\nname = "site"\nvalue = "Test yard"\n')

    def assign(self, action, bundle):
        """An action for the box; open until it is closed."""
        content = bundle.read_bytes()
        self.actions[action] = content
        self.open = action

    def of(self, action):
        """(execution, finished) of what was said about an action, without repetition."""
        said = []
        for number, body in self.feedback:
            status = body["status"]
            one = (status["execution"], status["result"]["finished"])
            if number == action and (not said or said[-1] != one):
                said.append(one)
        return said

    def answer(self, request, body):
        if request.headers.get("Authorization") != f"TargetToken {self.TOKEN}":
            self.refused += 1
            return self.send(request, 401, {})
        path = request.path.split("?")[0]
        rest = path[len(self.base):] if path.startswith(self.base) else None
        data = json.loads(body) if body else None
        if rest == "":
            return self.send(request, 200, self.poll())
        if rest == "/configData":
            assert data["mode"] == "merge", data
            self.attributes.update(data["data"])
            return self.send(request, 200, {})
        if found := re.fullmatch(r"/deploymentBase/(\d+)", rest or ""):
            return self.send(request, 200, self.deployment(found[1]))
        if found := re.fullmatch(r"/(deploymentBase|cancelAction)/(\d+)/feedback", rest or ""):
            return self.send(request, 200, self.take(found[1], found[2], data))
        if found := re.fullmatch(r"/cancelAction/(\d+)", rest or ""):
            stop = {"id": found[1], "cancelAction": {"stopId": found[1]}}
            return self.send(request, 200, stop)
        if found := re.fullmatch(r"/confirmationBase/(\d+)/feedback", rest or ""):
            assert data["confirmation"] == "confirmed", data
            self.consent = False
            return self.send(request, 200, {})
        if found := re.fullmatch(r"/softwaremodules/1/artifacts/(\d+)\.raucb", rest or ""):
            return self.send_bytes(request, self.actions[found[1]])
        return self.send(request, 404, {})

    def link(self, path):
        return {"href": f"{self.url}{self.base}/{path}"}

    def poll(self):
        links = {}
        if not self.attributes:
            links["configData"] = self.link("configData")
        if self.cancelling:
            links["cancelAction"] = self.link(f"cancelAction/{self.cancelling}")
        elif self.open and self.consent:
            links["confirmationBase"] = self.link(f"confirmationBase/{self.open}?c=-1")
        elif self.open:
            links["deploymentBase"] = self.link(f"deploymentBase/{self.open}?c=-2127183556")
        return {"config": {"polling": {"sleep": "00:00:01"}}, "_links": links}

    def deployment(self, action):
        content = self.actions[action]
        hashes = {"sha1": hashlib.sha1(content).hexdigest(),
                  "md5": hashlib.md5(content).hexdigest(),
                  "sha256": hashlib.sha256(content).hexdigest()}
        artifact = {"filename": "ampgate.raucb", "hashes": hashes, "size": len(content),
                    "_links": {"download": self.link(f"softwaremodules/1/artifacts/{action}.raucb")}}
        chunk = {"part": "os", "version": "Summer", "name": "Ampgate", "artifacts": [artifact]}
        return {"id": action, "deployment": {"download": "forced", "update": "forced",
                                             "chunks": [chunk]}}

    def take(self, kind, action, body):
        status = body["status"]
        assert status["execution"] in {"closed", "proceeding", "canceled", "scheduled", "rejected",
                                       "resumed", "downloaded", "download"}, body
        assert status["result"]["finished"] in {"success", "failure", "none"}, body
        self.feedback.append((action if kind == "deploymentBase" else f"cancel {action}", body))
        if status["execution"] == "closed":
            self.open = None if self.open == action else self.open
            self.cancelling = None if self.cancelling == action else self.cancelling
        return {}

    def send(self, request, code, body):
        self.send_bytes(request, json.dumps(body).encode(), code)

    def send_bytes(self, request, body, code=200):
        request.send_response(code)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
