"""The systemd unit: sound, closed, and yet enough for the program; without systemd as process 1."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from site_harness import note, until

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "ampgate.service"
EXPOSURE_MAX = 20  # tenths; systemd-analyze calls 2.0 and less OK

# Of systemd itself: what the unit refers to must be there for `verify`.
AROUND = ["sysinit.target", "basic.target", "multi-user.target", "shutdown.target",
          "network.target", "time-sync.target"]


def run(*words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL, **more)


def setting(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.M)


def test_the_unit_is_sound(tmp_path, binary):
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name in AROUND:
        shutil.copy(Path("/usr/lib/systemd/system") / name, units)
    shutil.copy(UNIT, units)
    (tmp_path / "usr/bin").mkdir(parents=True)
    shutil.copy(binary, tmp_path / "usr/bin/ampgate")
    (tmp_path / "bin").mkdir()
    shutil.copy("/bin/kill", tmp_path / "bin/kill")
    done = run("systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", "ampgate.service")
    assert done.returncode == 0 and "ampgate" not in done.stderr, done.stderr


def test_the_unit_is_closed():
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager",
               f"--threshold={EXPOSURE_MAX}", UNIT)
    assert done.returncode == 0, done.stdout
    note(done.stdout.strip().splitlines()[-1].strip("→ "))


def allowed_calls():
    """Names of the system calls that the unit's filter lets through."""
    def members(name):
        lines = run("systemd-analyze", "syscall-filter", name).stdout.splitlines()[1:]
        found = set()
        for word in (line.strip() for line in lines):
            if word.startswith("@"):
                found |= members(word)
            elif word and not word.startswith("#"):
                found.add(word)
        return found

    calls = set()
    for line in setting("SystemCallFilter"):
        if line.startswith("~"):
            for name in line[1:].split():
                calls -= members(name)
        else:
            for name in line.split():
                calls |= members(name)
    return calls | members("@default")


async def test_the_program_needs_no_call_that_the_unit_forbids(idle, tmp_path):
    """A site that charges, under strace: each call must be one that the filter lets through."""
    trace = tmp_path / "trace"
    wrapper = tmp_path / "traced"
    # -D: the program stays our own child, strace is beside it.
    wrapper.write_text(f'#!/bin/sh\nexec strace -D -f -qq -o {trace} -e signal=none '
                       f'{idle.daemon.binary} "$@"\n')
    wrapper.chmod(0o755)
    daemon = idle.daemon
    client, daemon.binary = daemon.binary, wrapper
    await idle.start()
    daemon.binary = client
    for charger in idle.chargers[:2]:
        await charger.connect()
        assert await charger.plug_in("TAG") == "Accepted"
    await daemon.sees("session.started")
    daemon.reload()
    await daemon.sees("config.loaded")
    await daemon.stop()
    await until(lambda: "exit_group" in trace.read_text(errors="replace"), 10, "strace ends")
    calls = set(re.findall(r"^\d+\s+(?:<\.\.\. )?(\w+)", trace.read_text(errors="replace"), re.M))
    assert {"epoll_wait", "fdatasync"} & calls, calls
    # strace itself execs the program; systemd does that before the filter is in force.
    forbidden = calls - allowed_calls() - {"execve"}
    assert not forbidden, forbidden
    note(f"{len(calls)} different system calls in a site that charges, all let through")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_it_runs_as_a_user_without_rights_on_a_read_only_root(idle, tmp_path):
    """As the unit has it: no capability, no new rights, nothing writable but the state directory."""
    state = tmp_path / "state"
    state.mkdir()
    for folder in [state, *state.parents][:-2]:
        folder.chmod(0o755)
    os.chown(state, 65534, 65534)
    binary = tmp_path / "ampgate"
    shutil.copy(idle.daemon.binary, binary)
    inside = tmp_path / "inside"
    inside.write_text(f"""#!/bin/sh
set -e
mount --make-rprivate /
mount --bind {state} {state}
mount --bind / /mnt && mount -o remount,bind,ro / && umount /mnt
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set -all \\
    --inh-caps -all {binary} "$@"
""")
    inside.chmod(0o755)
    wrapper = tmp_path / "wrapped"
    wrapper.write_text(f'#!/bin/sh\nexec unshare --mount {inside} "$@"\n')
    wrapper.chmod(0o755)
    client = idle.daemon.binary
    idle.daemon.binary, idle.daemon.data = wrapper, state
    await idle.start()
    idle.daemon.binary = client
    status = Path(f"/proc/{idle.daemon.process.pid}/status").read_text()
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and "NoNewPrivs:\t1" in status, status
    await idle.chargers[0].connect()
    assert await idle.chargers[0].plug_in("TAG") == "Accepted"
    await idle.daemon.sees("session.started")
    assert {path.name for path in state.iterdir()} >= {"ampgate.redb", "lock", "ids"}


async def test_systemd_is_told_and_the_watchdog_fed(idle, tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        await idle.start()
        monkeypatch.delenv("NOTIFY_SOCKET")
        told = [heard.recv(1000).decode() for _ in range(6)]
        assert any("READY=1" in words for words in told), told
        assert 4 <= sum("WATCHDOG=1" in words for words in told), told
        # A loop that stands still feeds no watchdog.
        idle.daemon.process.send_signal(signal.SIGSTOP)
        heard.settimeout(3)
        with pytest.raises(TimeoutError):
            while True:
                heard.recv(1000)
        idle.daemon.process.send_signal(signal.SIGCONT)
        heard.settimeout(10)
        assert "WATCHDOG=1" in heard.recv(1000).decode()
        await idle.daemon.stop()
        told = b""
        while b"STOPPING=1" not in told:
            told = heard.recv(1000)


async def test_a_program_that_dies_again_and_again_starts_in_failsafe(idle):
    daemon = idle.daemon
    for _ in range(4):
        await daemon.start()
        assert "daemon.failsafe" not in await daemon.events()
        daemon.kill()
    await idle.start()
    await daemon.sees("daemon.failsafe", "died 4 times")
    assert "failsafe" in await daemon.cli("status")
    await idle.connect_all()
    for charger in idle.chargers[8:10]:
        assert await charger.plug_in("TAG") == "Accepted"
    await daemon.explains("EVSE-09", "failsafe: the program has died 4 times")
    await until(lambda: 0 < idle.chargers[8].limit(), 30, "the safe share is given", daemon)
    limits = await idle.settled()
    assert limits[8] <= 6.0 and limits[9] <= 6.0, limits
    code, _ = await daemon.stop()
    assert code == 0
    await daemon.start()
    assert "failsafe" not in await daemon.cli("status")
