SUMMARY = "Keeps an EV charging site inside its breakers"
DESCRIPTION = "OCPP 1.6 central system of a charging site: limits are leases that run out by themselves"
HOMEPAGE = "https://ampgate.example.org"
BUGTRACKER = "https://ampgate.example.org/issues"
SECTION = "net"
CVE_PRODUCT = "ampgate"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=71b224ca933f0676e26d5c2e2271331c"

PV = "0.1.0+git"
SRC_URI = "${AMPGATE_GIT}"
SRCREV = "${AMPGATE_SRCREV}"

require ${BPN}-crates.inc

inherit cargo cargo-update-recipe-crates systemd useradd

# The broker of the demo stays out; optimised for size, over the whole program.
CARGO_BUILD_FLAGS += "--no-default-features"
BUILD_MODE = "--profile appliance"
BUILD_DIR = "appliance"

SYSTEMD_SERVICE:${PN} = "ampgate.service ampgate-reboot.path ampgate-trial.timer"
SYSTEMD_AUTO_ENABLE = "enable"

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group -M -d ${localstatedir}/lib/ampgate -s /sbin/nologin ampgate"

do_install:append() {
    install -D -m 0644 ${S}/systemd/ampgate.service ${D}${systemd_system_unitdir}/ampgate.service
    install -D -m 0644 ${S}/systemd/ampgate.default ${D}${sysconfdir}/default/ampgate
    for unit in reboot.path reboot.service trial.timer trial.service; do
        install -m 0644 ${S}/systemd/ampgate-$unit ${D}${systemd_system_unitdir}/ampgate-$unit
    done
    install -D -m 0644 ${S}/systemd/rauc-mark-good.conf ${D}${systemd_system_unitdir}/rauc-mark-good.service.d/ampgate.conf
    install -D -m 0644 ${S}/systemd/ampgate-rauc.conf ${D}${sysconfdir}/dbus-1/system.d/ampgate-rauc.conf
    install -d -m 0750 -o root -g ampgate ${D}${sysconfdir}/ampgate
    for example in ${S}/config/*.toml; do
        install -D -m 0644 $example ${D}${docdir}/ampgate/examples/$(basename $example)
    done
}

FILES:${PN} += "${systemd_system_unitdir}/ampgate*.service ${sysconfdir}/ampgate"
FILES:${PN} += "${systemd_system_unitdir}/rauc-mark-good.service.d"
CONFFILES:${PN} = "${sysconfdir}/default/ampgate"

RRECOMMENDS:${PN} += "tzdata"
