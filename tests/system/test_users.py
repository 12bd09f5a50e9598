"""Users and roles: made at a terminal, logged in with a browser, by scripts and commands, and from
outside through TLS."""

import base64
import json
import os
import pty
import re
import ssl
import subprocess
import urllib.error
import urllib.request

from browser import Browser
from site_harness import free_port, get, until

PASSWORD = "correct horse battery"


def ampgate(daemon, *words, stdin="", password=None):
    """Runs a command away from the data directory; (exit code, what it said)."""
    environment = {**os.environ, "AMPGATE_PASSWORD": password} if password else None
    done = subprocess.run([daemon.binary, *words], input=stdin, capture_output=True, text=True,
                          timeout=30, cwd=daemon.folder, env=environment)
    return done.returncode, done.stdout + done.stderr


def add(daemon, name, role):
    code, said = ampgate(daemon, "user", "add", name, "--role", role, "--stdin", "--data",
                         str(daemon.data), stdin=f"{PASSWORD}\n")
    assert code == 0, said


def ask(url, path, user=None, password=PASSWORD, method="GET", body=None, context=None):
    """(status, text); nobody asks without a user."""
    request = urllib.request.Request(url + path, data=body, method=method)
    if user:
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def at_a_terminal(words, answers):
    """Runs a command at a terminal of its own and types each answer when it is asked for.

    As a person does, from a shell that is still there afterwards: when the first process of a
    terminal ends, the kernel may drop what it wrote last.
    """
    shell = '"$@"; echo "[code $?]"; read -r _'
    child, terminal = pty.fork()
    if child == 0:
        os.execv("/bin/sh", ["sh", "-c", shell, "sh", *words])
    said = b""
    ended = rb"\[code (\d+)\]"
    for question, answer in [*answers, (ended, "")]:
        while not re.search(question + rb"|" + ended, said):
            said += os.read(terminal, 1024)
        os.write(terminal, f"{answer}\r".encode())
    os.waitpid(child, 0)
    os.close(terminal)
    return int(re.search(ended, said)[1]), said.decode()


async def test_a_password_is_asked_for_at_the_terminal_and_not_shown(idle):
    daemon = idle.daemon
    words = [str(daemon.binary), "user", "add", "alice", "--role", "admin", "--data",
             str(daemon.data)]
    again = b"The same again"
    code, said = at_a_terminal(words, [(b"Password of alice", PASSWORD), (again, "another")])
    assert code == 1 and "not the same" in said, said
    code, said = at_a_terminal(words, [(b"Password of alice", PASSWORD), (again, PASSWORD)])
    assert code == 0 and "alice is admin" in said, said
    assert PASSWORD not in said
    code, said = at_a_terminal(words[:3] + ["bob"] + words[4:], [(b"Password of bob", "short")])
    assert code == 1 and "expected at least 12" in said, said
    kept = daemon.data / "users.json"
    assert kept.stat().st_mode & 0o777 == 0o600 and PASSWORD not in kept.read_text()


async def test_the_running_daemon_takes_users_and_roles(site):
    daemon = site.daemon
    assert get(f"{daemon.web_url}/api/v1/site")[0] == 200
    for name, role in [("bob", "viewer"), ("olga", "operator"), ("alice", "admin")]:
        add(daemon, name, role)
    await until(lambda: get(f"{daemon.web_url}/api/v1/site")[0] == 401, 20, "it asks", daemon)
    assert get(f"{daemon.web_url}/healthz")[0] in (200, 503)
    meter_now, update = "/api/v1/evses/EVSE-01/meter-now", "/api/v1/update"
    cancel = json.dumps({"order": "cancel"}).encode()
    seen = {}
    for user in ("bob", "olga", "alice"):
        seen[user] = [ask(daemon.web_url, "/metrics", user)[0],
                      ask(daemon.web_url, meter_now, user, method="POST", body=b"")[0] == 403,
                      ask(daemon.web_url, update, user, method="POST", body=cancel)[0] == 403]
    assert seen == {"bob": [200, True, True], "olga": [200, False, True],
                    "alice": [200, False, False]}
    assert ask(daemon.web_url, "/api/v1/site", "bob", "wrong password")[0] == 401

    # Commands: with the token of the box, with a user, and with nothing.
    url = ["--url", daemon.web_url]
    code, said = ampgate(daemon, "status", *url, "--data-dir", str(daemon.data))
    assert code == 0 and "Test yard" in said, said
    code, said = ampgate(daemon, "status", *url, "--user", "bob", password=PASSWORD)
    assert code == 0 and "Test yard" in said, said
    code, said = ampgate(daemon, "status", *url, "--user", "bob", password="wrong password")
    assert code == 1 and "name or password is wrong" in said, said
    code, said = ampgate(daemon, "status", *url)
    assert code == 1 and "--user NAME" in said and "as root" in said, said
    code, said = ampgate(daemon, "events", *url, "--data-dir", str(daemon.data))
    assert "security.user_changed" in said and "security.user_login_refused" in said, said

    code, said = ampgate(daemon, "user", "remove", "bob", "--data", str(daemon.data))
    assert code == 0, said
    await until(lambda: ask(daemon.web_url, "/metrics", "bob")[0] == 401, 20, "bob is out", daemon)
    everything = daemon.log_tail(100000) + (daemon.data / "users.json").read_text()
    assert PASSWORD not in everything
    token = json.loads((daemon.data / "admin.token").read_text())["token"]
    assert token not in daemon.log_tail(100000)


async def test_a_backup_has_the_users_and_not_the_token(site, tmp_path):
    daemon = site.daemon
    add(daemon, "alice", "admin")
    backup = tmp_path / "backup.tar.gz"
    code, said = ampgate(daemon, "backup", str(backup), "--data", str(daemon.data))
    assert code == 0, said
    names = subprocess.run(["tar", "tzf", backup], capture_output=True, text=True).stdout.split()
    assert "users.json" in names and "admin.token" not in names, names


async def test_somebody_logs_in_and_out_with_a_browser(idle, tmp_path):
    add(idle.daemon, "bob", "viewer")
    await idle.start()
    async with Browser(tmp_path / "profile") as browser:
        await browser.load(f"{idle.daemon.web_url}/evse/EVSE-01")
        text = await browser.says("Password")
        assert "Test yard" not in text, text
        await browser.fill("name", "bob")
        await browser.fill("password", "wrong password")
        await browser.press("Log in")
        await browser.says("The name or the password is wrong.")
        await browser.fill("password", PASSWORD)
        await browser.photograph(tmp_path / "login.png")
        await browser.press("Log in")
        await browser.says("EVSE-01")
        assert await browser.run("location.pathname") == "/evse/EVSE-01"
        assert await browser.run("document.cookie") == "", "no script reads the cookie"
        await browser.load(f"{idle.daemon.web_url}/")
        await browser.says("One-line diagram")
        await browser.load(f"{idle.daemon.web_url}/login")
        await browser.says("viewer")
        await browser.press("Log out")
        await browser.says("Password")
        await browser.load(f"{idle.daemon.web_url}/")
        await browser.says("Password")


async def enter(browser, daemon, name, path, password=PASSWORD):
    await browser.load(f"{daemon.web_url}{path}")
    await log_in(browser, name, password)
    until_there = f"location.pathname === '{path}'"
    await until(lambda: browser.run(until_there), 20, f"{name} is at {path}", daemon)
    await browser.settled()


async def log_in(browser, name, password=PASSWORD):
    await browser.says("Password")
    await browser.fill("name", name)
    await browser.fill("password", password)
    await browser.press("Log in")


def passwd(daemon, name, password):
    code, said = ampgate(daemon, "user", "passwd", name, "--stdin", "--data", str(daemon.data),
                         stdin=f"{password}\n")
    assert code == 0, said


async def test_the_page_follows_the_role_and_a_session_that_ends_leads_back(idle, tmp_path):
    daemon, other = idle.daemon, "another long password"
    for name, role in [("bob", "viewer"), ("olga", "operator"), ("alice", "admin")]:
        add(daemon, name, role)
    await idle.start()
    async with Browser(tmp_path / "profile") as browser:
        orders = "document.querySelectorAll('[data-post]').length"
        await enter(browser, daemon, "bob", "/evse/EVSE-01")
        text = await browser.says("for the role operator; bob is viewer.")
        assert await browser.run(orders) == 0, text
        await browser.photograph(tmp_path / "viewer.png")
        await browser.press("Log out")
        await browser.says("Password")
        assert "session has ended" not in await browser.text()

        await enter(browser, daemon, "olga", "/evse/EVSE-01")
        await browser.says("Ask the charger for fresh values")
        assert await browser.run(orders) == 1
        # Her role is taken away: the page that is open follows by itself.
        code, said = ampgate(daemon, "user", "role", "olga", "viewer", "--data", str(daemon.data))
        assert code == 0, said

        async def follows():
            return "olga is viewer" in (await browser.text() or "")

        await until(follows, 40, "the open page follows the role", daemon)
        # Another password ends her session in the middle of work.
        passwd(daemon, "olga", other)
        ended = "location.pathname === '/login'"
        await until(lambda: browser.run(ended), 40, "the page shows the way in", daemon)
        await browser.says("Your session has ended")
        await log_in(browser, "olga", other)
        await browser.says("EVSE-01")
        assert await browser.run("location.pathname") == "/evse/EVSE-01"
        await browser.load(f"{daemon.web_url}/users")
        await browser.says("for the role admin, and olga is viewer")
        await browser.press("Log in as somebody else")
        await browser.says("Password")

        # What was typed stays until its author has read why it was not taken.
        await enter(browser, daemon, "alice", "/users")
        await browser.fill("name", "carol")
        passwd(daemon, "alice", other)

        async def says_so():
            return "Your session has ended" in (await browser.text() or "")

        await until(says_so, 40, "the page says that the session has ended", daemon)
        assert await browser.run("document.querySelector('[name=name]').value") == "carol"
        await browser.run("document.querySelector('#lost a').click()")
        await log_in(browser, "alice", other)
        await browser.says("A new user")
        assert await browser.run("location.pathname") == "/users"


async def test_an_admin_keeps_the_users_with_a_browser(idle, tmp_path):
    daemon = idle.daemon
    add(daemon, "alice", "admin")
    await idle.start()
    row = "document.querySelector('[data-key={}]')"
    async with Browser(tmp_path / "profile") as browser:
        def there(name, wanted=True):
            return until(lambda: browser.run(f"!!{row.format(name)} === {str(wanted).lower()}"),
                         20, f"{name} is {'' if wanted else 'not '}on the list", daemon)

        await enter(browser, daemon, "alice", "/users")
        await browser.run(f"{row.format('alice')}.querySelector('details').open = true")
        await browser.says("alice is the last admin; make another user admin first")
        await browser.fill("name", "bob")
        await browser.fill("password", PASSWORD)
        await browser.fill("again", "a mistaken password")
        await browser.press("Add")
        await browser.says("the two passwords are not the same")
        await browser.fill("again", PASSWORD)
        await browser.press("Add")
        await browser.says("bob is added as viewer.")
        await there("bob")
        # A command makes another meanwhile: it comes by itself, and nothing is lost.
        add(daemon, "carol", "viewer")
        await browser.run(f"{row.format('bob')}.querySelector('details').open = true")
        await browser.run(f"{row.format('bob')}.querySelector('[name=role]').value = 'operator'")
        await browser.photograph(tmp_path / "users.png")
        await browser.press("Change role")
        await browser.says("bob is operator.")
        await there("carol")
        assert ask(daemon.web_url, "/api/v1/site", "bob")[0] == 200
        await browser.press("Remove bob")
        await browser.says("bob is removed.")
        await there("bob", False)
        assert ask(daemon.web_url, "/api/v1/site", "bob")[0] == 401
        assert ask(daemon.web_url, "/api/v1/site", "carol")[0] == 200

        await browser.load(f"{daemon.web_url}/account")
        await browser.says("with the role admin")
        for name, value in [("before", "a wrong password"), ("password", "another long password"),
                            ("again", "another long password")]:
            await browser.fill(name, value)
        await browser.press("Change password")
        await browser.says("the old password is wrong")
        await browser.fill("before", PASSWORD)
        await browser.press("Change password")
        await browser.says("Your password is another one.")
        await browser.load(f"{daemon.web_url}/")
        await browser.says("One-line diagram")
    code, said = ampgate(daemon, "events", "--data-dir", str(daemon.data))
    for words in ["bob was added as viewer, by alice from 127.0.0.1",
                  "carol was added as viewer, by a command on the box",
                  "alice has another password, by alice from 127.0.0.1"]:
        assert words in said, said
    code, said = ampgate(daemon, "user", "list", "--data", str(daemon.data))
    assert [line.split()[0] for line in said.splitlines()] == ["alice", "carol"], said


async def test_other_machines_come_in_through_tls_once_there_is_a_user(idle, tmp_path):
    daemon = idle.daemon
    outside = free_port()
    text = daemon.config.read_text().replace(
        f'web = "{daemon.web_url[7:]}"', f'web = "127.0.0.1:{outside}"')
    daemon.config.write_text(text.replace("[mqtt]", "[web]\ntls = true\n\n[mqtt]", 1))
    with daemon.log.open("ab") as log:
        daemon.process = subprocess.Popen(
            [daemon.binary, "run", "--config", daemon.config, "--data", daemon.data],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    told = "security.page_shut"
    own = ["--data-dir", str(daemon.data)]

    def tells(words):
        code, said = ampgate(daemon, "events", "--count", "100", *own)
        return code == 0 and any(told in line and words in line for line in said.splitlines())

    await until(lambda: tells("ampgate user add"), 20, "a user is missing", daemon)
    add(daemon, "bob", "viewer")
    await until(lambda: tells("ampgate ca init"), 20, "a certificate is missing", daemon)
    code, said = ampgate(daemon, "ca", "init", "127.0.0.1", "--data", str(daemon.data))
    assert code == 0, said
    root = tmp_path / "root.pem"
    root.write_text(ampgate(daemon, "ca", "root", "--data", str(daemon.data))[1])
    context = ssl.create_default_context(cafile=str(root))
    url = f"https://127.0.0.1:{outside}"

    def asks():
        try:
            return ask(url, "/api/v1/site", context=context)[0] == 401
        except OSError:
            return False

    await until(asks, 20, "the door is open", daemon)
    assert ask(url, "/api/v1/site", "bob", context=context)[0] == 200
    assert ask(url, "/api/v1/site", "bob", "wrong password", context=context)[0] == 401
    assert ask(url, "/api/v1/update", "bob", method="POST", body=b"{}", context=context)[0] == 403
    away = ["status", "--url", url, "--ca", str(root)]
    code, said = ampgate(daemon, *away, "--user", "bob", password=PASSWORD)
    assert code == 0 and "Test yard" in said, said
    code, said = ampgate(daemon, *away, *own)
    assert code == 1 and "nobody is logged in" in said, said
    code, said = ampgate(daemon, "status", "--config", str(daemon.config), *own)
    assert code == 0 and "Test yard" in said, said
    code, said = ampgate(daemon, "status", "--url", url, "--user", "bob", password=PASSWORD)
    assert code == 1 and "certificate" in said.lower(), said
