#!/bin/sh
# Creates the login of our processes. It owns nothing, and may only take one of the roles that the migrations create, for one
# transaction at a time. Run it once as the owner, before the first migration: in the folder /docker-entrypoint-initdb.d of the
# PostgreSQL image, or by hand with PGHOST, PGUSER, PGPASSWORD and so on set.
set -eu
: "${SNUGGLES_APP_PASSWORD:?set it to the password of the login snuggles_app}"
psql --no-psqlrc -v ON_ERROR_STOP=1 -v password="$SNUGGLES_APP_PASSWORD" -d "${POSTGRES_DB:-${PGDATABASE:-postgres}}" <<'SQL'
CREATE ROLE snuggles_app LOGIN NOINHERIT PASSWORD :'password';
SQL
