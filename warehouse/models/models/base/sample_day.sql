MODEL (
  name base.sample_day,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, day),
  description 'Samples per truck and day, and how many came over 10 minutes after they were taken.',
  audits (unique_combination_of_columns(columns := (truck_id, day)))
);

SELECT
  truck_id, day,
  COUNT(*) AS samples,
  SUM(CASE WHEN received_ms - sampled_ms > 600000 THEN 1 ELSE 0 END) AS late,
  MAX(sampled_at) AS last_at,
  MIN(CASE WHEN NOT gps_latitude IS NULL THEN sampled_at END) AS first_positioned_at
FROM lake.telemetry
WHERE day BETWEEN @start_date AND @end_date
GROUP BY truck_id, day
