#!/bin/sh
# Makes sure that what the build needs is there: installs it on Debian as root,
# and elsewhere says exactly what to install. With "bench": HAProxy and nginx with Lua, to be
# measured beside, and what counts instructions and system calls. With "release": what reads a
# profile that the compiler made. With "test": what the tests need too, which is real servers to
# stand in front of us and behind us, and a real browser.
set -eu

missing=""
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

# Debian keeps servers where only root looks.
PATH="$PATH:/usr/sbin"
need cmake cmake
need cc build-essential
# Only the demo's lines and people use it, not the tests.
need curl curl
if [ "${1:-}" = bench ] || [ "${1:-}" = release ]; then
    need openssl openssl # the key pair for RS256
    need setpriv util-linux
fi
if [ "${1:-}" = release ] && ! scripts/llvm-profdata.sh >/dev/null 2>&1; then
    # Rust's own reads what Rust's compiler wrote.
    rustup component add llvm-tools >/dev/null 2>&1 || missing="$missing llvm-19"
fi
if [ "${1:-}" = bench ]; then
    need nginx nginx
    need haproxy haproxy
    need valgrind valgrind # instructions
    need strace strace     # system calls
    [ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || missing="$missing libnginx-mod-http-lua"
    ls /usr/lib/*/lua/5.1/cjson.so >/dev/null 2>&1 || missing="$missing lua-cjson"
fi
if [ "${1:-}" = test ]; then
    need nginx nginx-light
    need chromium chromium
    need chromedriver chromium-driver
    need logrotate logrotate
    need node nodejs
    need prometheus prometheus
    need promtool prometheus
    need prometheus-alertmanager prometheus-alertmanager
    need systemd-analyze systemd
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing="$missing python3 python3-venv"
fi

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing:$missing"
        apt-get update -qq
        # Installing a server must not start one (Debian policy, section 9.3.3).
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod +x "$policy"
            trap 'rm -f "$policy"' EXIT
        fi
        # shellcheck disable=SC2086 # a list of names
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
    else
        echo "missing:$missing" >&2
        echo "Debian:            sudo apt-get install$missing" >&2
        echo "Ubuntu:            the same, but its chromium is a snap: the tests want chromium and chromedriver in PATH" >&2
        echo "Fedora:            sudo dnf install cmake gcc gcc-c++ make curl nginx chromium chromedriver logrotate nodejs systemd golang-github-prometheus golang-github-prometheus-alertmanager" >&2
        echo "macOS:             the build wants xcode-select --install && brew install cmake; the tests want Linux" >&2
        exit 1
    fi
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "missing: cargo. Install Rust 1.95 or newer with rustup, then try again." >&2
    exit 1
fi
