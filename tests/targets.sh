#!/usr/bin/env bash
# Checks that the library and what the attribute makes compile on other
# systems, for each target whose std is installed (`rustup target add`), and
# says which is not. Arguments choose targets.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    targets=(x86_64-pc-windows-gnu x86_64-pc-windows-msvc x86_64-apple-darwin
        aarch64-apple-darwin aarch64-unknown-linux-gnu)
fi
sysroot="$(rustc --print sysroot)"
for target in "${targets[@]}"; do
    if [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
        cargo check --quiet --manifest-path fixtures/track/Cargo.toml --lib --target "$target" \
            --target-dir "${CARGO_TARGET_DIR:-target}/targets" --locked
        echo "$target: compiles"
    else
        echo "$target: no std at hand"
    fi
done
