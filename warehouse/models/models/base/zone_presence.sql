MODEL (
  name base.zone_presence,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, zone_id, day, first_nth),
  description 'Consecutive samples of a truck and day within a zone, of those that have a position.',
  audits (unique_combination_of_columns(columns := (truck_id, zone_id, day, first_nth)))
);

WITH sample AS (
  SELECT
    truck_id, day, order_key, sampled_at, sampled_ms, received_ms,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day ORDER BY order_key) AS nth,
    LEAD(sampled_at) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS next_at
  FROM lake.telemetry
  WHERE day BETWEEN @start_date AND @end_date AND NOT gps_latitude IS NULL
), inside AS (
  SELECT
    sample.*, zone_sample.zone_id,
    sample.nth - ROW_NUMBER() OVER (PARTITION BY sample.truck_id, sample.day, zone_sample.zone_id ORDER BY sample.nth) AS island
  FROM sample
  JOIN base.zone_sample AS zone_sample
    ON zone_sample.truck_id = sample.truck_id AND zone_sample.day = sample.day AND zone_sample.order_key = sample.order_key
)
SELECT
  truck_id, zone_id, day,
  MIN(nth) AS first_nth,
  MIN(sampled_at) AS entered_at,
  MIN(sampled_ms) AS entered_ms,
  MAX(sampled_ms) AS last_ms,
  MAX(CASE WHEN next_at IS NULL THEN 1 ELSE 0 END) AS to_the_end,
  MAX(next_at) AS left_at,
  MAX(CASE WHEN received_ms - sampled_ms > 600000 THEN 1 ELSE 0 END) AS late
FROM inside
GROUP BY truck_id, zone_id, day, island
