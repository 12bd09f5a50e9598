# Sourced by cross/image and cross/slots: what an arm64 Debian is made of that is to be booted in an
# emulator. Root, because it changes its root; packages that are missing are installed with apt.
#
# Wants: cross/toolchain.sh; cwd is the root of the repository; `out`, a folder that keeps what
# takes long, and `suite`, the Debian that the box has.

# need PACKAGES…: what is missing on this machine, by name.
need() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends "${missing[@]}"
}

# begin_guest PACKAGES…: the tools of both scripts, and of one; programs of the box run through
# qemu-user from here on.
begin_guest() {
    need qemu-system-arm qemu-user-static binfmt-support arch-test mmdebstrap cpio e2fsprogs kmod \
        xz-utils "$@"
    names aarch64
    main=${DEBIAN_MIRROR:-$(mirror '^[a-z]+$')}
    mkdir -p "$out"
    [[ -e /proc/sys/fs/binfmt_misc/register ]] ||
        mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    update-binfmts --enable qemu-aarch64
}

# make_base PACKAGES,…: a system with these, once, in $out/base.tar.
make_base() {
    [[ ! -f $out/base.tar ]] || return 0
    mmdebstrap --quiet --format=tar --arch="$arch" --variant=apt \
        --include="systemd,systemd-sysv,dbus,udev,libgcc-s1,init-system-helpers${1:+,$1}" \
        "$suite" "$out/base.part" "$main"
    mv "$out/base.part" "$out/base.tar"
}

# unpack_foreign SUITE FOLDER PACKAGES…: unpacks packages of the box's machine. Where a name ends
# with a star, e.g. linux-image-*, it is the newest one's, which has the version in its name.
unpack_foreign() {
    local from=$1 folder=$2 package named=() deb
    shift 2
    root=$out/apt
    rm -rf "$root" "$folder" && mkdir -p "$root/lists/partial" "$root/cache/archives/partial"
    touch "$root/status"
    echo "deb [signed-by=$KEYRING] $main $from main" >"$root/sources.list"
    foreign update
    for package in "$@"; do
        [[ $package != *-\* ]] || package=$(foreign install -s --no-install-recommends \
            "${package%-\*}-$arch" | awk -v like="^${package%\*}[0-9]" '/^Inst / && $2 ~ like {
                print $2; exit }')
        named+=("$package")
    done
    (cd "$root" && foreign download "${named[@]}")
    mkdir "$folder"
    for deb in "$root"/*.deb; do dpkg-deb -x "$deb" "$folder"; done
    rm -rf "$root"
}

# make_kernel: $out/vmlinuz and its modules in $out/kernel. Unpacked, not installed: making its
# initramfs under emulation takes minutes.
make_kernel() {
    [[ ! -f $out/vmlinuz ]] || return 0
    unpack_foreign "$suite" "$out/kernel" 'linux-image-*' busybox-static
    # Where its modules are in usr/lib, tools look for them in lib all the same.
    [[ -d $out/kernel/lib/modules ]] || ln -s usr/lib "$out/kernel/lib"
    depmod -b "$out/kernel" "$(ls "$out/kernel/lib/modules")"
    cp "$out"/kernel/boot/vmlinuz-* "$out/vmlinuz"
}

# modules NAMES…: the files of these modules and of what they need, in the order in which they are
# loaded; what is built in has none.
modules() {
    local name
    for name in "$@"; do
        modprobe -d "$out/kernel" -S "$(ls "$out/kernel/lib/modules")" --show-depends "$name" ||
            { echo "the kernel has no module $name" >&2; return 1; }
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# make_initrd FILE MODULES…: a shell, drivers, and as /init what comes from the standard input: the
# way to the real root, once the drivers are there.
make_initrd() {
    local file=$1 tree=$out/initrd list module name load=
    shift
    list=$(modules "$@")
    rm -rf "$tree" && mkdir -p "$tree"/{bin,dev,proc,sys,new,lib}
    cp "$(find "$out/kernel" -path '*bin/busybox' -type f | head -1)" "$tree/bin/busybox"
    for module in $list; do
        name=$(basename "$module" | sed 's/\.ko.*//')
        case $module in
        *.xz) xz -dc "$module" >"$tree/lib/$name.ko" ;;
        *) cp "$module" "$tree/lib/$name.ko" ;;
        esac
        load+="insmod /lib/$name.ko; "
    done
    {
        printf '%s\n' '#!/bin/busybox sh' '/bin/busybox --install -s /bin' \
            'mount -t devtmpfs none /dev && mount -t proc none /proc && mount -t sysfs none /sys' \
            "$load"
        cat
    } >"$tree/init"
    chmod +x "$tree/init"
    (cd "$tree" && find . | cpio -o -H newc --quiet | gzip -9) >"$file"
    rm -rf "$tree"
    [[ $(stat -c %s "$file") -gt 500000 ]] || { echo "the initrd is empty" >&2; return 1; }
}

# make_tree FOLDER DEB FILES…: the base, the package as dpkg installs it there, and over it folders
# of files; the units witness and systemd-networkd are enabled.
make_tree() {
    local tree=$1 deb=$2 folder
    shift 2
    rm -rf "$tree" && mkdir "$tree"
    tar -xf "$out/base.tar" -C "$tree" --exclude=./dev/*
    cp "$deb" "$tree/tmp/ampgate.deb"
    mkdir -p "$tree/etc/ampgate"
    for folder in "$@"; do cp -r "$folder/." "$tree/"; done
    in_tree "$tree" sh -c 'dpkg -i /tmp/ampgate.deb && rm /tmp/ampgate.deb &&
        systemctl enable witness systemd-networkd'
    [[ -L $tree/etc/systemd/system/multi-user.target.wants/ampgate.service ]] ||
        { echo "the package did not enable its unit" >&2; return 1; }
    echo ampgate >"$tree/etc/hostname"
}

# in_tree FOLDER COMMAND…: a command of the box, run in it.
in_tree() {
    chroot "$1" env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        "${@:2}"
}
