#!/usr/bin/env bash
# Checks that the library and the attribute compile on other systems, for each
# target whose std is installed (`rustup target add`), and says which is not.
set -euo pipefail
cd "$(dirname "$0")/.."

sysroot="$(rustc --print sysroot)"
for target in x86_64-pc-windows-gnu x86_64-pc-windows-msvc x86_64-apple-darwin \
    aarch64-apple-darwin aarch64-unknown-linux-gnu; do
    if [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
        cargo check --quiet --package leakcheck --target "$target" --locked
        echo "$target: compiles"
    else
        echo "$target: no std at hand"
    fi
done
