#!/bin/sh
# Builds the sidecar for what it does most: an instrumented one answers the requests of the
# benchmark and writes down what it executed; the compiler then arranges the code by that. The
# result is target/profiled/camarad-sidecar, with the benchmark beside it. Three builds, a
# quarter of an hour on two cores; a profile is never kept, so it is always of this code.
set -eu
cd "$(dirname "$0")/.."

profdata=$(scripts/llvm-profdata.sh)
host=$(rustc -vV | sed -n 's/^host: //p')
target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target"
# The compiler is run in other folders than this one.
target=$(cd "$target" && pwd)
work="$target/profiled"
raw="$work/raw"
instrumented="$work/instrumented/$host/release"
optimised="$work/optimised/$host/release"
rm -rf "$raw" "$work/sidecar.profdata"
mkdir -p "$raw"

# With a target named, flags are not for build scripts.
build() { # FLAG DIRECTORY
    RUSTFLAGS="${RUSTFLAGS:-} $1" \
        cargo build --quiet --release -p camarad-sidecar --target "$host" --target-dir "$work/$2"
}

cargo build --quiet --release -p camarad-bench
bench="$target/release/camarad-bench"

build "-Cprofile-generate=$raw" instrumented
cp "$bench" "$instrumented/"
"$instrumented/camarad-bench" train
"$profdata" merge -o "$work/sidecar.profdata" "$raw"

CAMARAD_PROFILED=1 build "-Cprofile-use=$work/sidecar.profdata" optimised
cp "$optimised/camarad-sidecar" "$bench" "$work/"
"$work/camarad-sidecar" --version
