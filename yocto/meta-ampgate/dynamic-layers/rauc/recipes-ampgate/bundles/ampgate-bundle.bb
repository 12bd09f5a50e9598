SUMMARY = "Signed update with the whole system of the box"
DESCRIPTION = "The whole system of the box as a signed verity bundle for RAUC"
HOMEPAGE = "https://ampgate.example.org"
BUGTRACKER = "https://ampgate.example.org/issues"
SECTION = "images"
CVE_PRODUCT = "ampgate"
LICENSE = "MIT"

inherit bundle

RAUC_BUNDLE_COMPATIBLE = "${AMPGATE_COMPATIBLE}"
RAUC_BUNDLE_VERSION ?= "0.1.0"
RAUC_BUNDLE_DESCRIPTION = "Ampgate with its system"
RAUC_BUNDLE_FORMAT = "verity"

RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs = "ampgate-image"
RAUC_SLOT_rootfs[fstype] = "ext4"
RAUC_SLOT_rootfs[adaptive] = "block-hash-index"

# The key of the release stays where bundles are signed; it is in no layer.
RAUC_KEY_FILE ?= "${AMPGATE_SIGNING_KEY}"
RAUC_CERT_FILE ?= "${AMPGATE_SIGNING_CERT}"
