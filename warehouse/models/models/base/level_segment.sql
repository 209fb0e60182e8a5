MODEL (
  name base.level_segment,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, day, segment_no),
  description 'Fuel levels of one truck and day, split where one sample differs from the one before by 2 points or more.',
  audits (unique_combination_of_columns(columns := (truck_id, day, segment_no)))
);

WITH level AS (
  SELECT
    truck_id, day, order_key, sampled_at, sampled_ms, fuel_level, odometer_reading, engine_rpm,
    LAG(fuel_level) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before
  FROM lake.telemetry
  WHERE day BETWEEN @start_date AND @end_date AND NOT fuel_level IS NULL
), numbered AS (
  SELECT
    *,
    CAST(SUM(CASE WHEN before IS NULL OR ABS(fuel_level - before) >= 2 THEN 1 ELSE 0 END)
      OVER (PARTITION BY truck_id, day ORDER BY order_key ROWS UNBOUNDED PRECEDING) AS BIGINT) AS segment_no
  FROM level
), ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day, segment_no ORDER BY order_key) AS nth,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day, segment_no ORDER BY order_key DESC) AS nth_last
  FROM numbered
)
SELECT
  truck_id, day, segment_no,
  MIN(order_key) AS first_key,
  MIN(sampled_at) AS start_at,
  MIN(sampled_ms) AS start_ms,
  MAX(sampled_ms) AS end_ms,
  COUNT(*) AS samples,
  MAX(CASE WHEN nth = 1 THEN fuel_level END) AS first_level,
  MAX(CASE WHEN nth_last = 1 THEN fuel_level END) AS last_level,
  AVG(CASE WHEN nth <= 3 THEN fuel_level END) AS head_level,
  AVG(CASE WHEN nth_last <= 3 THEN fuel_level END) AS tail_level,
  MAX(CASE WHEN nth = 1 THEN odometer_reading END) AS first_odometer,
  MAX(CASE WHEN nth_last = 1 THEN odometer_reading END) AS last_odometer,
  MAX(CASE WHEN nth = 1 THEN engine_rpm END) AS first_rpm
FROM ranked
GROUP BY truck_id, day, segment_no
