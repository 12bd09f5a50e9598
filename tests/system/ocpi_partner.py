"""A partner over OCPI that shares no code with the daemon: a platform with every receiver module,
a list of tokens, a record of each request, and a network that can be cut."""

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from site_harness import free_port


def now_text():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded(token):
    return "Token " + base64.b64encode(token.encode()).decode()


class Partner:
    """A service provider's platform: it is told locations, sessions and CDRs."""

    OWN_TOKEN = "partner-secret-0123456789"

    def __init__(self, version="2.2.1", country="NL", party="TNM", role="EMSP"):
        self.version, self.country, self.party, self.role = version, country, party, role
        self.port, self.server = free_port(), None
        self.theirs = None  # the token that we call the box with
        self.inbound = {self.OWN_TOKEN}  # the tokens that the box may call us with
        self.endpoints = {}
        self.requests = []  # (time, method, path, body)
        self.objects = {}  # what was told, by (module, id)
        self.results = []  # bodies that came to a response_url
        self.tokens = []  # Token objects for the box to pull
        self.word = {}  # our word on a token, by uid, when the box asks; NOT_ALLOWED otherwise
        self.asked = []  # uids that the box asked about
        self.cdr_answer_lost = 0  # so many CDRs are taken without an answer
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    # ---- the network ---------------------------------------------------------------------------

    def mend(self):
        """Listens; before and after `cut` nobody answers on its port."""
        partner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                answer = partner.serve(self.command, self.path, self.headers, body)
                if answer is None:  # the line breaks before the answer
                    self.close_connection = True
                    return
                status, data, extra = answer
                payload = {"status_code": 1000 if status < 300 else 2000, "timestamp": now_text()}
                if data is not None:
                    payload["data"] = data
                text = json.dumps(payload).encode()
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def cut(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    # ---- as a server ---------------------------------------------------------------------------

    def serve(self, method, target, headers, body):
        offered = headers.get("Authorization", "")
        if offered not in {encoded(token) for token in self.inbound}:
            return 401, None, {}
        split = urlsplit(target)
        path = [unquote(part) for part in split.path.split("/") if part]
        told = json.loads(body) if body else None
        with self.lock:
            self.requests.append((time.monotonic(), method, split.path, told))
        base = f"{self.url}/{self.version}"
        if path == ["versions"]:
            return 200, [{"version": self.version, "url": base}], {}
        if path == [self.version]:
            return 200, {"version": self.version, "endpoints": self._offers(base)}, {}
        if path[:2] == [self.version, "credentials"]:
            return self._credentials(method, told)
        if path[:2] == [self.version, "tokens"] and path[-1] == "authorize":
            with self.lock:
                self.asked.append(path[2])
            word = self.word.get(path[2], "NOT_ALLOWED")
            return 200, {"allowed": word, "authorization_reference": f"ref-{path[2]}",
                         "token": self.token(path[2])}, {}
        if path[:2] == [self.version, "tokens"]:
            return 200, self.tokens, {"X-Total-Count": str(len(self.tokens)), "X-Limit": "100"}
        if path[0] == "result":
            with self.lock:
                self.results.append((path[1], told))
            return 200, None, {}
        return self._receive(method, path[1:], told)

    def _offers(self, base):
        modules = [(name, "RECEIVER") for name in ("locations", "sessions", "cdrs", "tariffs")]
        modules += [("tokens", "SENDER"), ("credentials", "SENDER"), ("chargingprofiles", "SENDER")]
        return [{"identifier": name, "role": role, "url": f"{base}/{name}"}
                for name, role in modules]

    def _credentials(self, method, told):
        """The box registers with us, or renews."""
        if method == "DELETE":
            return 200, None, {}
        self.theirs = told["token"]
        self.inbound.add(f"{self.OWN_TOKEN}-{len(self.inbound)}")
        self._learn(told["url"])
        return 200, self.credentials(f"{self.OWN_TOKEN}-{len(self.inbound) - 1}"), {}

    def credentials(self, token):
        return {"token": token, "url": f"{self.url}/versions", "roles": [{
            "role": self.role, "country_code": self.country, "party_id": self.party,
            "business_details": {"name": "A partner of the tests"}}]}

    def token(self, uid, **more):
        """A Token of ours, as it is in our list, or as of somebody new."""
        known = next((one for one in self.tokens if one["uid"] == uid), None)
        return known or {
            "country_code": self.country, "party_id": self.party, "uid": uid, "type": "RFID",
            "contract_id": f"NL-TNM-{uid}", "issuer": "TNM", "valid": True,
            "whitelist": "NEVER", "last_updated": now_text(), **more}

    def _receive(self, method, path, told):
        module, name = path[0], "/".join(path[1:])
        with self.lock:
            if module == "cdrs":
                known = ("cdrs", told["id"]) in self.objects
                if method == "POST" and known:
                    return 200, None, {"Location": f"{self.url}/2/cdrs/{told['id']}"}
                self.objects[("cdrs", told["id"])] = told
                if 0 < self.cdr_answer_lost:
                    self.cdr_answer_lost -= 1
                    return None
                return 201, None, {"Location": f"{self.url}/{self.version}/cdrs/{told['id']}"}
            if method == "PATCH":
                self.objects.setdefault((module, name), {}).update(told)
            else:
                self.objects[(module, name)] = told
        return 200, None, {}

    # ---- as a client ---------------------------------------------------------------------------

    def call(self, method, url, body=None, token=None):
        """(status, envelope, headers)"""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method, headers={
            "Authorization": encoded(token or self.theirs), "X-Request-ID": f"r{time.time()}",
            "X-Correlation-ID": "c1", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text, error.headers

    def _learn(self, versions_url, token=None):
        _, versions, _ = self.call("GET", versions_url, token=token)
        url = next(one["url"] for one in versions["data"] if one["version"] == self.version)
        _, details, _ = self.call("GET", url, token=token)
        self.endpoints = {(one["identifier"], one["role"]): one["url"]
                          for one in details["data"]["endpoints"]}

    def register(self, invitation):
        """Registers with the box, from what `ampgate partner invite` printed."""
        words = invitation.split()
        token, versions_url = words[words.index("A") + 1], words[-1]
        self._learn(versions_url, token)
        url = self.endpoints[("credentials", "SENDER")]
        status, answer, _ = self.call("POST", url, self.credentials(self.OWN_TOKEN), token)
        assert status == 200 and answer["status_code"] == 1000, answer
        self.theirs = answer["data"]["token"]

    def endpoint(self, module, role="SENDER"):
        return self.endpoints[(module, role)]

    def pull(self, module, limit=None, query=""):
        """Every object of a list over all of its pages, and the number of pages."""
        url = self.endpoint(module) + (f"?limit={limit}{query}" if limit else query)
        found, pages = [], 0
        while url:
            status, answer, headers = self.call("GET", url)
            assert status == 200 and answer["status_code"] == 1000, answer
            found, pages = found + answer["data"], pages + 1
            assert len(answer["data"]) <= int(headers["X-Limit"])
            link = headers.get("Link")
            url = link.split(">")[0].lstrip("<") if link else None
        assert int(headers["X-Total-Count"]) == len(found)
        return found, pages

    # ---- what was told -------------------------------------------------------------------------

    def told(self, module, since=0.0, methods=("PUT", "PATCH", "POST")):
        """(method, path, body) of what was told of a module, oldest first."""
        with self.lock:
            return [(method, path, body) for at, method, path, body in self.requests
                    if since <= at and f"/{module}" in path and method in methods]

    def cdrs(self):
        return [body["id"] for method, _, body in self.told("cdrs") if method == "POST"]

    def sessions(self):
        """The latest state of each session that was told, by id."""
        with self.lock:
            return {body["id"]: body for (module, _), body in self.objects.items()
                    if module == "sessions"}
