#!/usr/bin/env bash
# Install RabbitMQ, the other broker that BROKER_URL may name, where that is ours to do: as root, from Debian's packages.
# Elsewhere its tests are skipped with a sentence. Safe to call again; starts no server of its own.
set -euo pipefail

[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The package would start a server and keep it running; run level 1 is one in which it is not wanted.
RUNLEVEL=1 apt-get install -qq -y --no-install-recommends rabbitmq-server >/dev/null
