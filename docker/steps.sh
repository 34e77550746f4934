#!/bin/sh
# What the images are made of, so that it can be run without Docker too: `cargo xtask conformance image` does.
#
#   docker/steps.sh build [FEATURES]        the binary, in target/release (or $CARGO_TARGET_DIR)
#   docker/steps.sh install ROOT BINARY     the image's files under ROOT
#   docker/steps.sh check ROOT              starts what was installed and asks it for its health
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)

build() {
    cd "$here"
    cargo build --release --locked --package svs --features "${1:-}"
}

install_files() {
    root=$1 binary=$2
    mkdir -p "$root/usr/local/bin" "$root/usr/share/doc/svs" "$root/data"
    install -m 755 "$binary" "$root/usr/local/bin/svs"
    # Names of functions are enough to read a panic's backtrace; line numbers are most of the binary.
    if command -v strip >/dev/null; then
        strip --strip-debug "$root/usr/local/bin/svs"
    fi
    install -m 755 "$here/docker/health.sh" "$root/usr/local/bin/svs-health"
    install -m 644 "$here/LICENSE" "$here/LICENSE-APACHE" "$here/LICENSE-MIT" "$root/usr/share/doc/svs/"
    # The image's user owns where runs are kept.
    if [ "$(id -u)" = 0 ]; then
        chown 10001:10001 "$root/data"
    fi
}

# Nothing of the machine but its libraries may be needed: an empty environment, a port of its own, the image's arguments.
check() {
    root=$1
    port=${SVS_CHECK_PORT:-18473}
    "$root/usr/local/bin/svs" --version
    if command -v ldd >/dev/null; then
        libraries=$(ldd "$root/usr/local/bin/svs" | sed -n 's/^[[:space:]]*\(lib[^ .]*\).*/\1/p' | sort -u | tr '\n' ' ')
        echo "libraries: $libraries"
        for library in $libraries; do
            case $library in
            libc | libm | libgcc_s | libpthread | libdl | librt | libstdc++) ;;
            *) echo "$library is not in the image" >&2 && return 1 ;;
            esac
        done
    fi
    env -i "$root/usr/local/bin/svs" serve --host 127.0.0.1 --port "$port" --runs "$root/data/runs" &
    server=$!
    trap 'kill "$server" 2>/dev/null || true' EXIT
    tries=0
    until env -i PATH="$PATH" SVS_HEALTH_PORT="$port" "$root/usr/local/bin/svs-health" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -ge 120 ] || ! kill -0 "$server" 2>/dev/null; then
            echo "the installed server does not answer" >&2
            return 1
        fi
        sleep 1
    done
    kill -TERM "$server"
    wait "$server"
    trap - EXIT
    echo "the installed server answered and stopped"
}

step=${1:-}
[ $# -gt 0 ] && shift
case $step in
build) build "$@" ;;
install) install_files "$@" ;;
check) check "$@" ;;
*) sed -n '2,6p' "$0" && exit 2 ;;
esac
