"""Backups of a running site, restores, and what a support bundle must not hold."""

import asyncio
import subprocess
import tarfile

from site_harness import configuration, until


async def ampgate(daemon, *words, code=0):
    done = await asyncio.to_thread(
        subprocess.run, [str(word) for word in [daemon.binary, *words]], capture_output=True,
        text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


async def test_a_backup_of_a_running_site_is_restored(site, tmp_path):
    daemon, backup = site.daemon, tmp_path / "site.tar.gz"
    first, second = site.chargers[8], site.chargers[9]
    for charger in (first, second):
        await charger.connect()
    assert await first.plug_in("TAG-OF-BEFORE") == "Accepted"
    await daemon.sees("session.started", "EVSE-09")
    await first.unplug()
    await daemon.sees("session.ended", "EVSE-09")

    said = await ampgate(daemon, "backup", backup, "--data", daemon.data)
    assert "ampgate.redb" in said and "ids" in said, said
    assert backup.stat().st_mode & 0o077 == 0
    with tarfile.open(backup) as archive:
        assert {"ampgate.redb", "ids", "drivers.key"} <= set(archive.getnames())
    await daemon.sees("store.backup")

    assert await second.plug_in("TAG-OF-AFTER") == "Accepted"
    await daemon.sees("session.started", "EVSE-10")
    given = second.transaction.id
    spoiled = tmp_path / "spoiled.tar.gz"
    spoiled.write_bytes(backup.read_bytes()[:-100])
    await ampgate(daemon, "restore", spoiled, "--data", daemon.data, code=1)
    await ampgate(daemon, "restore", backup, "--data", daemon.data)
    await second.unplug()
    await daemon.stop()

    await daemon.start()
    await daemon.sees("store.restored", "before-restore-1")
    sessions = await daemon.sessions()
    assert "EVSE-09" in sessions and "EVSE-10" not in sessions, sessions
    assert (daemon.data / "before-restore-1" / "ampgate.redb").exists()
    # No lease is known, so each charger counts with its rating until it is heard.
    for charger in site.chargers:
        await charger.reconnect()
    assert await second.plug_in("TAG-AGAIN") == "Accepted"
    assert given + 1000 < second.transaction.id, "no number is given twice"
    await until(lambda: 0 < second.limit(), 60, "it charges", daemon)


async def test_a_backup_needs_no_daemon_and_says_what_is_wrong(idle, tmp_path):
    daemon = idle.daemon
    await ampgate(daemon, "backup", tmp_path / "a", "--data", tmp_path / "nowhere", code=1)
    await daemon.start()
    await daemon.stop()
    said = await ampgate(daemon, "backup", tmp_path / "b.tar.gz", "--data", daemon.data)
    assert "ampgate.redb" in said
    foreign = tmp_path / "foreign.tar.gz"
    with tarfile.open(foreign, "w:gz", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(daemon.config, "site.toml")
    said = await ampgate(daemon, "restore", foreign, "--data", daemon.data, code=1)
    assert "no ampgate.redb" in said


async def test_a_bundle_holds_no_secret(idle, tmp_path):
    daemon, bundle = idle.daemon, tmp_path / "bundle.tar.gz"
    secret = "04SECRETBADGE77"
    daemon.config.write_text(configuration(daemon.ports, access=f'tokens = ["{secret}"]'))
    await daemon.start()
    await idle.chargers[8].connect()
    assert await idle.chargers[8].plug_in(secret) == "Accepted"
    await daemon.sees("session.started")
    said = await ampgate(daemon, "support-bundle", bundle, "--site", daemon.config,
                         "--url", daemon.web_url)
    assert "1 secrets" in said, said
    with tarfile.open(bundle) as archive:
        texts = {name: archive.extractfile(name).read().decode() for name in archive.getnames()}
    assert "ampgate_node_rating_amperes" in texts["metrics.txt"], texts["metrics.txt"]
    assert "session.started" in texts["events.json"] and "(masked)" in texts["site.toml"]
    for name, text in texts.items():
        assert secret not in text, name
