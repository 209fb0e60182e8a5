#!/bin/sh
# Run once by the postgres image, when its data folder is new: the schema of the marts, and who may only read them.
set -eu
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 \
    --set password="$MILEPOST_PG_PASSWORD" <<'SQL'
CREATE SCHEMA marts;
CREATE ROLE milepost_reader PASSWORD :'password';
\i /milepost/reader_role.sql
SQL
