"""SIGHUP: a bad file is refused and the old one stays, a good one is taken at once."""

from site_harness import configuration, until


async def test_a_bad_file_is_refused_and_a_good_one_is_taken(site):
    await site.all_charge()
    good = site.daemon.config.read_text()

    site.daemon.config.write_text(good.replace('name = "Test yard"', 'name = 7\ncolour = "red"'))
    site.daemon.reload()
    await site.daemon.sees("config.refused")
    assert "Test yard" in await site.daemon.cli("status")
    for charger in site.chargers:
        await charger.heartbeat()

    site.rating = 70.0
    site.meter.push(site.meter.other[0])  # the auditor grants a moment for the smaller rating
    site.daemon.config.write_text(configuration(site.daemon.ports, rating=70))
    site.daemon.reload()
    await site.daemon.sees("config.loaded")
    await until(lambda: max(site.allowed()) <= 70.05, 10, "limits fit the rating", site.daemon)
    assert all(charger.online and charger.transaction for charger in site.chargers)
    await until(lambda: 60 < max(site.allowed()), 60, "the rating is used", site.daemon)


async def test_a_bad_file_does_not_start(idle):
    import subprocess
    daemon = idle.daemon
    daemon.config.write_text(configuration(daemon.ports) + '\n[[evse]]\nid = "EVSE-99"\n')
    for words in (["check", "--config"], ["run", "--data", daemon.data, "--config"]):
        done = subprocess.run([daemon.binary, *words, daemon.config], capture_output=True,
                              text=True, timeout=20, stdin=subprocess.DEVNULL)
        said = done.stdout + done.stderr
        assert done.returncode == 2, said
        assert "site.toml:" in said and "EVSE-99" in said, said
