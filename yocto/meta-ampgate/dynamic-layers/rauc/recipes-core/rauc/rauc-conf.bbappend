# The slots of the box. `rauc-conf` installs both files to /usr/lib/rauc; the keyring is that of
# whoever signs the bundles and is named by the distribution.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"

RAUC_KEYRING_FILE ?= "ca.cert.pem"

do_install:prepend() {
    sed -i -e "s|@COMPATIBLE@|${AMPGATE_COMPATIBLE}|" ${UNPACKDIR}/system.conf
}
