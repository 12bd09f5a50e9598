"""A mosquitto of one test alone, plain or inside TLS, and certificates made for it."""

import shutil
import os
import socket
import subprocess
import time

import paho.mqtt.client as mqtt

from site_harness import free_port


def certificates(folder):
    """A root, a certificate of the broker for 127.0.0.1, and one of a client; PEM files."""
    folder.mkdir(exist_ok=True)

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj", "/CN=test root")
    for name, more in (("server", "subjectAltName=IP:127.0.0.1"),
                       ("client", "extendedKeyUsage=clientAuth")):
        (folder / f"{name}.ext").write_text(f"basicConstraints=CA:FALSE\n{more}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", 2, "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        (folder / f"{name}.key").chmod(0o600)
    return folder


class Mosquitto:
    """A broker that can be stopped and started again on its port."""

    def __init__(self, folder, more="allow_anonymous true"):
        folder.mkdir(exist_ok=True)
        self.folder, self.port, self.process = folder, free_port(), None
        text = f"listener {self.port} 127.0.0.1\npersistence false\nuser root\n{more}\n"
        (folder / "mosquitto.conf").write_text(text)

    def start(self):
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
        assert program, "mosquitto is not installed"
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([program, "-c", self.folder / "mosquitto.conf"],
                                        stdout=log, stderr=log)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


class Listener:
    """Everything that is published, by topic: the last payload, and how often."""

    def __init__(self, port, prepare=lambda client: None):
        self.last, self.count = {}, {}
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        prepare(self.client)
        self.client.on_message = self._took
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _took(self, _client, _data, message):
        self.last[message.topic] = message.payload.decode()
        self.count[message.topic] = self.count.get(message.topic, 0) + 1

    def say(self, topic, payload, retain=False):
        self.client.publish(topic, payload, 1, retain).wait_for_publish(5)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
