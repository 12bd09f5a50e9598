SUMMARY = "A read-only system with Ampgate, for the box in the cabinet"
DESCRIPTION = "The daemon, a read-only root, time zones and certificates; RAUC where the layer is"
HOMEPAGE = "https://ampgate.example.org"
BUGTRACKER = "https://ampgate.example.org/issues"
SECTION = "images"
CVE_PRODUCT = "ampgate"
LICENSE = "MIT"

inherit core-image

IMAGE_FEATURES += "read-only-rootfs ssh-server-dropbear"
IMAGE_INSTALL = "packagegroup-core-boot ampgate tzdata ca-certificates"
IMAGE_INSTALL += "${@bb.utils.contains('DISTRO_FEATURES', 'rauc', 'rauc rauc-service', '', d)}"
IMAGE_FSTYPES = "ext4 wic.bz2"

# 4 KiB blocks and a fixed seed: RAUC's adaptive updates then fetch what has changed alone.
# nooelint: oelint.vars.specific
EXTRA_IMAGECMD:ext4 = "-i 4096 -b 4096 -E hash_seed=86ca73ff-7379-40bd-a098-fcb03a6e719d"
