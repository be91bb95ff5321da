#!/usr/bin/env bash
# Install Chromium, which the pages for browsers are tested in, where that is ours to do: as root, from Debian's
# packages. Elsewhere those tests are skipped with a sentence. Safe to call again.
set -euo pipefail

command -v chromium >/dev/null && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Ubuntu's package of this name is a shell around a snap, which a container cannot run.
# Not `grep -q`: it leaves at the first match, apt-cache is then stopped by SIGPIPE, and pipefail calls that a failure.
apt-cache show chromium 2>/dev/null | grep '^Maintainer:.*[Dd]ebian' >/dev/null || exit 0
apt-get install -qq -y --no-install-recommends chromium >/dev/null
