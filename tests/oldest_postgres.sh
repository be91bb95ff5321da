#!/usr/bin/env bash
# Install PostgreSQL 15, the oldest release that we promise to run on, where that is ours to do: as root, from Debian's
# packages. Elsewhere its tests are skipped with a sentence. Safe to call again; starts no server of its own.
set -euo pipefail

[ -x /usr/lib/postgresql/15/bin/postgres ] && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-cache show postgresql-15 >/dev/null 2>&1 || exit 0
apt-get install -qq -y postgresql-common >/dev/null
# The package would make and start a cluster; we only want its programs.
sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
apt-get install -qq -y postgresql-15 >/dev/null
