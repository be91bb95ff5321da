#!/usr/bin/env bash
# Installs the programs of tests/NAME/requirements.lock (swift, clients) into .cache/NAME-venv, or into the folder that
# NAME_VENV names, once: later calls return at once until the lock file changes.
set -euo pipefail
name=$1
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/$name/requirements.lock
place=$(printf '%s_VENV' "$name" | tr '[:lower:]' '[:upper:]')
venv=${!place:-$here/../.cache/$name-venv}
stamp=$venv/.lock-sha256
wanted=$(sha256sum "$lock" | cut -d' ' -f1)
is_current() { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; }
if is_current; then exit 0; fi

mkdir -p "$(dirname "$venv")"
exec 9>"$venv.install-lock"
flock 9
if is_current; then exit 0; fi
rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
printf '%s' "$wanted" >"$stamp"
