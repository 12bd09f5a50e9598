# Sourced by cross/build and cross/test: a compiler for the ARM targets, from Debian packages alone.
#
#   rustc, cargo        rustc-web and cargo-web of this machine's Debian
#   std of the target   libstd-rust-web-dev of the same version, unpacked into target/cross/std;
#                       the machine keeps its own architecture, dpkg learns of no other
#   linker, libc        gcc-*-linux-gnu* and libc6-dev-*-cross
#   to run it           qemu-user-static, with the libc of the cross packages
#
# Exits with 75 where the mirror has no such pair: that says nothing of the program, and passes when
# the mirror has caught up.
#
# Wants: cwd is the root of the repository; apt as root where something is missing.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# mirror SUITE-PATTERN: the address that this machine's apt takes Debian from.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk -v suite="$1" '$2 ~ suite && $1 ~ /debian/ { print $1; exit }'
}

# Tests in tests/ that want nothing but the floors without clock and sockets. Not the forecasts', which
# compute for long, and not the store's, which waits for a disk and gives up after a minute.
floor_tests=(--test control_ledger --test controller_orders --test learn --test ocpp_corpus
    --test ocpp_dialogue --test ocpp_quirks --test plan --test twin_plant)

usage() {
    sed -n 's/^#   \(cross\/\)/  \1/p' "$0" >&2
    exit 2
}

# names ARCH: sets arch (Debian's), triple (Rust's), gnu (GNU's), qemu.
names() {
    case $1 in
    aarch64 | arm64) arch=arm64 triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu
        qemu=qemu-aarch64-static ;;
    armv7 | armhf) arch=armhf triple=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf
        qemu=qemu-arm-static ;;
    *) usage ;;
    esac
}

# install_tools: what is missing on this machine, by name.
install_tools() {
    local wanted=(rustc-web cargo-web "gcc-$gnu" "libc6-dev-$arch-cross" binutils file python3
        qemu-user-static) missing=() package
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
            grep -qx installed || missing+=("$package")
    done
    [[ ${#missing[@]} == 0 ]] && return
    echo "installing ${missing[*]}"
    apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
            "${missing[@]}"
}

# foreign OPTIONS…: apt-get with lists, cache and status of its own in $root, for $arch alone.
foreign() {
    apt-get -q -o "Dir::State=$root" -o "Dir::State::status=$root/status" \
        -o "Dir::Cache=$root/cache" -o "Dir::Etc::sourcelist=$root/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o "APT::Architecture=$arch" \
        -o "APT::Architectures=$arch" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# fetch_std: the std of $triple that this machine's rustc can read, in $std. The first source that
# has the right version counts: an index that the mirror is just renewing has an older one.
fetch_std() {
    local version source main security
    main=${DEBIAN_MIRROR:-$(mirror '^[a-z]+$')}
    security=${DEBIAN_SECURITY_MIRROR:-$(mirror '-security$')}
    root=$PWD/target/cross/apt-$arch
    version=$(dpkg-query -W -f '${Version}' rustc-web)
    version=${version%%+*}
    std=$PWD/target/cross/std/$arch-$version
    [[ -d $std/lib/rustlib/$triple/lib ]] && return
    for source in "$security bookworm-security" "$main trixie" "$security trixie-security"; do
        rm -rf "$root" && mkdir -p "$root/lists/partial" "$root/cache/archives/partial"
        touch "$root/status"
        echo "deb [signed-by=$KEYRING] $source main" >"$root/sources.list"
        echo "looking for std $version for $arch in ${source##* }"
        foreign update || continue
        (cd "$root" && foreign download libstd-rust-web-dev) || continue
        if compgen -G "$root/libstd-rust-web-dev_$version+*.deb" >/dev/null; then
            rm -rf "$std.part" && mkdir -p "$std.part"
            dpkg-deb --fsys-tarfile "$root"/libstd-rust-web-dev_"$version"+*.deb |
                tar -x -C "$std.part" --strip-components=2 ./usr/lib/rustlib || return
            mv "$std.part" "$std"
            rm -rf "$root"
            return
        fi
    done
    rm -rf "$root"
    echo "no std $version for $arch; expected the version of rustc-web in one of the sources" >&2
    return 1
}

# is_new_enough: rustc-web compiles this project. Where one index is behind, apt takes a
# rustc-web of long ago.
is_new_enough() {
    local needed version
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    version=$(dpkg-query -W -f '${Version}' rustc-web)
    dpkg --compare-versions "$version" ge "$needed" ||
        { echo "rustc-web is $version; expected $needed or later, as in Debian's security suite" >&2
        return 1; }
}

# prepare ARCH: everything above, then the environment in which cargo builds for it, and where the
# program is put: target/cross/ampgate-ARCH, apart where the tests alone want it.
prepare() {
    names "$1"
    install_tools && is_new_enough && fetch_std || exit 75
    program=target/cross/ampgate-$arch
    [[ ${PROFILE:-} != emulated ]] || program=target/cross/emulated/ampgate-$arch
    local upper=${triple^^}
    upper=${upper//-/_}
    # Debian's own before any other on the path: std and compiler must be of one version.
    export PATH=/usr/bin:/bin:/usr/sbin:/sbin
    export "CARGO_TARGET_${upper}_LINKER=$gnu-gcc" "CC_${triple//-/_}=$gnu-gcc"
    export "CARGO_TARGET_${upper}_RUSTFLAGS=--sysroot $std --remap-path-prefix=$PWD=/src"
    export "CARGO_TARGET_${upper}_RUNNER=$qemu" QEMU_LD_PREFIX=/usr/$gnu
    export CARGO_TARGET_DIR=$PWD/target/cross/build
    unset RUSTC RUSTDOC RUSTUP_TOOLCHAIN RUSTFLAGS
}
