# shellcheck shell=bash
# Fuzzing on stable Rust: libFuzzer from the libfuzzer-sys crate, and rustc's own coverage instrumentation by the flags
# below, which are what `cargo fuzz` passes to nightly, less the address sanitizer. Sourced by ./x.
#
# Targets are fuzz/targets/NAME.rs; committed first inputs are in fuzz/seeds/NAME/; what a run learns goes to
# fuzz/corpus/NAME/ and an input that broke something to fuzz/artifacts/NAME/ (both stay on this machine).

fuzz_names() {
    local file
    for file in fuzz/targets/*.rs; do basename "$file" .rs; done
}

fuzz_target_dir() { printf '%s/fuzz' "$(target_dir)"; }

fuzz_host() { rustc --version --verbose | sed -n 's/^host: //p'; }

# --target keeps the instrumentation out of build scripts and procedural macros.
fuzz_build() {
    local flags=(
        -Cpasses=sancov-module
        -Cllvm-args=-sanitizer-coverage-level=4
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
        -Cllvm-args=-sanitizer-coverage-pc-table
        -Cllvm-args=-sanitizer-coverage-trace-compares
        --cfg=fuzzing
        -Ccodegen-units=1
    )
    RUSTFLAGS="${flags[*]}" cargo build --locked --manifest-path fuzz/Cargo.toml \
        --target "$(fuzz_host)" --target-dir "$(fuzz_target_dir)"
}

# fuzz_run NAME SECONDS: ends with exit code 0 when nothing broke in that time.
fuzz_run() {
    local name=$1 seconds=$2 one
    fuzz_build
    if [ "$name" = all ]; then
        for one in $(fuzz_names); do part "fuzz $one" fuzz_one "$one" "$seconds"; done
        summary
    else
        [ -f "fuzz/targets/$name.rs" ] || fail "no fuzz target named $name; there are: $(fuzz_names | tr '\n' ' ')"
        fuzz_one "$name" "$seconds"
    fi
}

fuzz_one() {
    local name=$1 seconds=$2
    mkdir -p "fuzz/corpus/$name" "fuzz/artifacts/$name" "fuzz/seeds/$name"
    # One input may take 5 s and 1 GiB at most: what is slow or greedy is broken too. The value profile lets the
    # fuzzer climb over multi-byte comparisons (magic numbers, checksums) without a dictionary.
    "$(fuzz_target_dir)/$(fuzz_host)/debug/$name" "fuzz/corpus/$name" "fuzz/seeds/$name" \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -use_value_profile=1 -print_final_stats=1 \
        -verbosity=0 -artifact_prefix="fuzz/artifacts/$name/"
}
