#!/bin/sh
# Makes the login that our processes use. It owns nothing and may only become one of the roles that the migrations make,
# for one transaction at a time. Runs once, as the owner, before the first migration: in the folder
# /docker-entrypoint-initdb.d of the PostgreSQL image, or by hand with PGHOST, PGUSER, PGPASSWORD and so on set.
set -eu
: "${SNUGGLES_APP_PASSWORD:?set it to the password of the login snuggles_app}"
psql --no-psqlrc -v ON_ERROR_STOP=1 -v password="$SNUGGLES_APP_PASSWORD" -d "${POSTGRES_DB:-${PGDATABASE:-postgres}}" <<'SQL'
CREATE ROLE snuggles_app LOGIN NOINHERIT PASSWORD :'password';
SQL
