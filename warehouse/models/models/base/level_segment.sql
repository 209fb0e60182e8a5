MODEL (
  name base.level_segment,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, day, segment_no),
  description 'Fuel levels of one truck and day, split where one sample differs from the one before by 2 points or more, and where the engine goes on or off.',
  audits (unique_combination_of_columns(columns := (truck_id, day, segment_no)))
);

WITH level AS (
  SELECT
    truck_id, day, order_key, sampled_at, sampled_ms, fuel_level, odometer_reading, engine_rpm,
    CASE WHEN engine_rpm = 0 AND COALESCE(vehicle_speed, gps_speed, 0.0) < 5 THEN 1 ELSE 0 END AS engine_off
  FROM lake.telemetry
  WHERE day BETWEEN @start_date AND @end_date AND NOT fuel_level IS NULL
), step AS (
  SELECT
    *,
    LAG(fuel_level) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before,
    LAG(engine_off) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_off
  FROM level
), numbered AS (
  SELECT
    *,
    CAST(SUM(CASE WHEN before IS NULL OR ABS(fuel_level - before) >= 2 OR engine_off <> before_off THEN 1 ELSE 0 END)
      OVER (PARTITION BY truck_id, day ORDER BY order_key ROWS UNBOUNDED PRECEDING) AS BIGINT) AS segment_no
  FROM step
), ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day, segment_no ORDER BY order_key) AS nth,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day, segment_no ORDER BY order_key DESC) AS nth_last
  FROM numbered
), ended AS (
  SELECT
    *,
    AVG(CASE WHEN nth_last <= 3 THEN fuel_level END) OVER (PARTITION BY truck_id, day, segment_no) AS final_level
  FROM ranked
)
SELECT
  truck_id, day, segment_no,
  MIN(order_key) AS first_key,
  MIN(sampled_at) AS start_at,
  MIN(sampled_ms) AS start_ms,
  MAX(sampled_ms) AS end_ms,
  COUNT(*) AS samples,
  MAX(engine_off) AS engine_off,
  MAX(CASE WHEN nth = 1 THEN fuel_level END) AS first_level,
  MAX(CASE WHEN nth_last = 1 THEN fuel_level END) AS last_level,
  AVG(CASE WHEN nth <= 3 THEN fuel_level END) AS head_level,
  MAX(final_level) AS tail_level,
  MIN(CASE WHEN fuel_level <= final_level + 1.000001 THEN sampled_at END) AS low_at, -- a mean is not exact
  MIN(CASE WHEN fuel_level >= final_level - 1.000001 THEN sampled_at END) AS high_at,
  MAX(CASE WHEN nth = 1 THEN odometer_reading END) AS first_odometer,
  MAX(CASE WHEN nth_last = 1 THEN odometer_reading END) AS last_odometer,
  MAX(CASE WHEN nth = 1 THEN engine_rpm END) AS first_rpm
FROM ended
GROUP BY truck_id, day, segment_no
