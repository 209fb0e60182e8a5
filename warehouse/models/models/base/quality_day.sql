MODEL (
  name base.quality_day,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (day, rule),
  description 'Rows of telemetry per UTC day, and how many of them break each quality rule that asks a row alone.',
  audits (unique_combination_of_columns(columns := (day, rule)))
);

SELECT day, rule, rows, failed
FROM lake.quality_day
WHERE day BETWEEN @start_date AND @end_date
