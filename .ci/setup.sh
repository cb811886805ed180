# Sourced by ./start and ./test with $root set: `set_up LOCK` makes $root/.venv hold what the lock file names,
# and the command `counterfoil`. A stamp of lock and place makes the second time quick.

set_up() {
    stamp="$(cksum <"$root/$1") $root"
    [ -x "$root/.venv/bin/python" ] && [ "$(cat "$root/.venv/.$1" 2>/dev/null)" = "$stamp" ] && return
    echo "Setting up $root/.venv from $1 ..." >&2
    [ -x "$root/.venv/bin/python" ] || make_venv
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$root/.venv/bin/python" --require-hashes -r "$root/$1" >&2
    else
        "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1 || "$root/.venv/bin/python" -m ensurepip >&2
        "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$root/$1" >&2
    fi
    add_command
    echo "$(cksum <"$root/requirements.lock") $root" >"$root/.venv/.requirements.lock"
    echo "$stamp" >"$root/.venv/.$1"
}

make_venv() {
    rm -rf "$root/.venv"
    for python in python3 python3.14 python3.13 python3.12 python3.11 none; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    done
    [ "$python" != none ] || { echo "Counterfoil needs Python 3.11 or newer." >&2; exit 1; }
    if command -v uv >/dev/null 2>&1; then
        UV_PYTHON_DOWNLOADS=never uv venv --quiet --python "$(command -v "$python")" "$root/.venv" >&2
        return
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv "$python-venv"
    "$python" -m venv "$root/.venv" >&2
}

# Debian's python3 comes without venv.
install_venv() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "Python's venv is missing. On Debian and Ubuntu: sudo apt-get install $1" >&2
        exit 1
    fi
    apt-get install -y --no-install-recommends "$1" >/dev/null 2>&1 ||
        { apt-get update && apt-get install -y --no-install-recommends "$1"; } >&2
}

# The project runs from where it stands: its place on the path, and a command that finds Python beside itself.
add_command() {
    for packages in "$root"/.venv/lib/python3.*/site-packages; do
        echo "$root" >"$packages/counterfoil.pth"
    done
    printf '#!/bin/sh\nexec "$(dirname "$0")/python" -P -m app.cli "$@"\n' >"$root/.venv/bin/counterfoil"
    chmod +x "$root/.venv/bin/counterfoil"
}
