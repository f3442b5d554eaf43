#!/bin/sh
# Makes sure that what the build needs is there: installs it on Debian as root,
# and elsewhere says exactly what to install.
set -eu

missing=""
command -v cmake >/dev/null 2>&1 || missing="$missing cmake"
command -v cc >/dev/null 2>&1 || missing="$missing build-essential"
# Only the demo's lines and people use it, not the tests.
command -v curl >/dev/null 2>&1 || missing="$missing curl"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing:$missing"
        apt-get update -qq
        # shellcheck disable=SC2086 # a list of names
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
    else
        echo "missing:$missing" >&2
        echo "Debian or Ubuntu:  sudo apt-get install$missing" >&2
        echo "Fedora:            sudo dnf install cmake gcc gcc-c++ make curl" >&2
        echo "macOS:             xcode-select --install && brew install cmake" >&2
        exit 1
    fi
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "missing: cargo. Install Rust 1.95 or newer with rustup, then try again." >&2
    exit 1
fi
