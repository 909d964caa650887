#!/bin/sh
# Make the virtual environment and install what requirements.lock names, with hashes.
# usage: tools/venv.sh PYTHON VENV
set -eu
python=$1 venv=$2

if ! command -v "$python" >/dev/null 2>&1; then
    echo "mailtui needs Python 3.11 or later; on Debian: apt-get install python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "mailtui needs Python 3.11 or later; $python is $("$python" -V 2>&1)" >&2
    echo "choose another: make PYTHON=/path/to/python3.12 …" >&2
    exit 1
fi

# Debian keeps ensurepip in a package of its own
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    package=python3-venv
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing $package"
        apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package" >/dev/null
    elif ! command -v uv >/dev/null 2>&1; then
        echo "this Python has no ensurepip; ask root for: apt-get install $package" >&2
        echo "or install uv, which needs no root, and run make again" >&2
        exit 1
    fi
fi

if "$python" -c 'import ensurepip' 2>/dev/null; then
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
else
    [ -x "$venv/bin/python" ] || uv venv -q --python "$python" "$venv"
    uv pip install -q --python "$venv/bin/python" --require-hashes -r requirements.lock
    uv pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e .
fi
