-- What the role of dashboards and Grafana may: read the marts and nothing else. `python -m dashboards.reader_role` makes
-- the role and runs this, as often as it is called.
ALTER ROLE milepost_reader LOGIN CONNECTION LIMIT 20;
ALTER ROLE milepost_reader SET default_transaction_read_only = on;
ALTER ROLE milepost_reader SET search_path = marts;
ALTER ROLE milepost_reader SET timezone = 'UTC';
ALTER ROLE milepost_reader SET statement_timeout = '30s';
GRANT USAGE ON SCHEMA marts TO milepost_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA marts TO milepost_reader;
-- Marts whose columns change are made anew by the build: the role may read those too.
ALTER DEFAULT PRIVILEGES IN SCHEMA marts GRANT SELECT ON TABLES TO milepost_reader;
