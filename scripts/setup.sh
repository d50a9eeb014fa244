# Sourced by ./demo and ./check, which set `here` to the checkout: installs what a build needs, and only that.
# POSIX shell.

export CARGO_TERM_COLOR=never
export DEBIAN_FRONTEND=noninteractive

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

has_file() {
    for file in "$@"; do
        if [ -e "$file" ]; then return 0; fi
    done
    return 1
}

# Appends a package to `missing` unless its check succeeds.
need() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n "$@" || fail "need root for: $*"
    else
        fail "need root for: $*"
    fi
}

# Installs the missing Debian packages, after naming them.
install_packages() {
    missing=
    need ca-certificates has_file /etc/ssl/certs/ca-certificates.crt
    # The report's page is tested in a real browser.
    need chromium command -v chromium
    need gcc command -v gcc
    need git command -v git
    # gcc only recommends the C library's headers, and recommended packages are not installed.
    need libc6-dev has_file /usr/include/stdio.h
    need libclang-dev has_file /usr/lib/llvm-*/lib/libclang.so* /usr/lib/*/libclang.so*
    need lxc command -v lxc-start
    need lxc-dev has_file /usr/include/lxc/lxccontainer.h
    need pkg-config command -v pkg-config
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
    if [ -z "$missing" ]; then
        say "every package is installed"
        return 0
    fi
    command -v apt-get >/dev/null 2>&1 || fail "no apt-get here; install these by hand:$missing"
    say "installing$missing"
    as_root apt-get update -q
    # Word splitting is wanted: one argument per package.
    # shellcheck disable=SC2086
    as_root apt-get install -q -y --no-install-recommends $missing
}

# Finds cargo, also where a shell without login misses it.
find_cargo() {
    if ! command -v cargo >/dev/null 2>&1; then
        PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"
        export PATH
    fi
    command -v cargo >/dev/null 2>&1 || fail "no cargo on PATH; install Rust from https://rustup.rs"
}
