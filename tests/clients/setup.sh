#!/usr/bin/env bash
# Installs the client generators of requirements.lock into .cache/clients-venv, once: later calls return at once until it changes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${CLIENTS_VENV:-$root/.cache/clients-venv}
stamp=$venv/.lock-sha256
wanted=$(sha256sum "$here/requirements.lock" | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

mkdir -p "$(dirname "$venv")"
exec 9>"$venv.install-lock"
flock 9
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi
rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$here/requirements.lock"
printf '%s' "$wanted" >"$stamp"
