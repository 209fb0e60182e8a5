#!/bin/sh
# Run once by the postgres image, when its data folder is new: the schema of the marts, and who may only read them.
set -eu
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 --command "CREATE SCHEMA marts"
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 \
    --set password="'$MILEPOST_PG_PASSWORD'" --file /milepost/reader_role.sql
