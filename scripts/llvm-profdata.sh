#!/bin/sh
# Says where an llvm-profdata is that reads what Rust's compiler wrote and writes what it reads:
# the one of the rustup component llvm-tools, else the newest that is no newer than the compiler.
set -eu
host=$(rustc -vV | sed -n 's/^host: //p')
own="$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata"
if [ -x "$own" ]; then
    echo "$own"
    exit 0
fi
version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
while [ "${version:-0}" -ge 19 ]; do
    if command -v "llvm-profdata-$version"; then
        exit 0
    fi
    version=$((version - 1))
done
echo "missing: llvm-profdata. rustup component add llvm-tools, or install LLVM 19 (no newer than rustc -vV says)" >&2
exit 1
