MODEL (
  name base.truck_run,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, day, run_no),
  description 'Consecutive samples of one truck and day in one state (moving, idle, off), no more than 10 minutes apart.',
  audits (unique_combination_of_columns(columns := (truck_id, day, run_no)))
);

WITH sample AS (
  SELECT
    truck_id, day, order_key, sampled_at, sampled_ms, engine_rpm, fuel_level, fuel_consumption, odometer_reading,
    gps_latitude, gps_longitude, interval_s, moving_s, idle_s, fuel_l, speed_max,
    COALESCE(vehicle_speed, gps_speed) AS speed,
    CASE
      WHEN COALESCE(vehicle_speed, gps_speed) >= 5 THEN 'moving'
      WHEN engine_rpm > 0 THEN 'idle'
      ELSE 'off'
    END AS state
  FROM lake.telemetry
  WHERE day BETWEEN @start_date AND @end_date AND COALESCE(vehicle_speed, gps_speed) IS NOT NULL
), step AS (
  SELECT
    *,
    LAG(sampled_ms) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_ms,
    LAG(state) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_state,
    LAG(odometer_reading) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_odometer,
    LAG(fuel_consumption) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_rate,
    LAG(engine_rpm) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_rpm
  FROM sample
), split AS (
  SELECT
    *,
    CASE
      WHEN before_ms IS NULL OR state <> before_state OR sampled_ms - before_ms > 600000 THEN 1
      ELSE 0
    END AS opens
  FROM step
), numbered AS (
  SELECT
    *,
    CAST(SUM(opens) OVER (PARTITION BY truck_id, day ORDER BY order_key ROWS UNBOUNDED PRECEDING) AS BIGINT) AS run_no,
    COALESCE(LEAD(opens) OVER (PARTITION BY truck_id, day ORDER BY order_key), 1) AS closes,
    CASE WHEN opens = 1 THEN 0.0 ELSE (sampled_ms - before_ms) / 1000.0 END AS apart_s
  FROM split
), covered AS ( -- what since_last says of the time since the sample before stands above any guess
  SELECT
    *,
    CASE
      WHEN opens = 0 AND moving_s IS NOT NULL AND idle_s IS NOT NULL AND interval_s <= apart_s + 5 THEN interval_s
      ELSE 0.0
    END AS covered_s,
    CASE WHEN opens = 0 AND fuel_l IS NOT NULL AND interval_s <= apart_s + 5 THEN interval_s ELSE 0.0 END AS fuel_covered_s,
    CASE WHEN apart_s <= 120 THEN apart_s ELSE 0.0 END AS near_s
  FROM numbered
), measured AS (
  SELECT
    *,
    CASE WHEN near_s > covered_s THEN near_s - covered_s ELSE 0.0 END AS guessed_s,
    CASE WHEN near_s > fuel_covered_s THEN near_s - fuel_covered_s ELSE 0.0 END AS fuel_guessed_s
  FROM covered
), place AS ( -- the path between positions that are known, within a run
  SELECT
    truck_id, day, run_no, order_key, sampled_ms, gps_latitude, gps_longitude,
    LAG(sampled_ms) OVER (PARTITION BY truck_id, day, run_no ORDER BY order_key) AS before_ms,
    LAG(gps_latitude) OVER (PARTITION BY truck_id, day, run_no ORDER BY order_key) AS before_latitude,
    LAG(gps_longitude) OVER (PARTITION BY truck_id, day, run_no ORDER BY order_key) AS before_longitude,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day, run_no ORDER BY order_key) AS nth,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day, run_no ORDER BY order_key DESC) AS nth_last
  FROM numbered
  WHERE NOT gps_latitude IS NULL AND NOT gps_longitude IS NULL
), moved AS (
  SELECT
    *,
    12742.0176 * ASIN(SQRT(
      POWER(SIN(RADIANS(gps_latitude - before_latitude) / 2), 2)
      + COS(RADIANS(before_latitude)) * COS(RADIANS(gps_latitude))
      * POWER(SIN(RADIANS(gps_longitude - before_longitude) / 2), 2))) AS step_km
  FROM place
), path AS ( -- a step that no truck can make is a wrong position's, there and back
  SELECT
    truck_id, day, run_no,
    SUM(CASE WHEN step_km <= @apart_km + (sampled_ms - before_ms) * @most_kmh / 3600000.0 THEN step_km ELSE 0.0 END) AS gps_km,
    MAX(CASE WHEN nth = 1 THEN gps_latitude END) AS first_latitude,
    MAX(CASE WHEN nth = 1 THEN gps_longitude END) AS first_longitude,
    MAX(CASE WHEN nth_last = 1 THEN gps_latitude END) AS last_latitude,
    MAX(CASE WHEN nth_last = 1 THEN gps_longitude END) AS last_longitude
  FROM moved
  GROUP BY truck_id, day, run_no
), run AS (
  SELECT
    truck_id, day, run_no,
    MIN(state) AS state,
    MIN(order_key) AS first_key,
    MIN(sampled_at) AS start_at,
    MAX(sampled_at) AS end_at,
    MIN(sampled_ms) AS start_ms,
    MAX(sampled_ms) AS end_ms,
    SUM(CASE WHEN covered_s > near_s THEN covered_s ELSE near_s END) AS observed_s,
    SUM(CASE WHEN covered_s > 0 THEN moving_s ELSE 0.0 END + CASE WHEN state = 'moving' THEN guessed_s ELSE 0.0 END) AS moving_s,
    SUM(CASE WHEN covered_s > 0 THEN idle_s ELSE 0.0 END + CASE WHEN state = 'idle' THEN guessed_s ELSE 0.0 END) AS idle_s,
    SUM(CASE WHEN before_rpm > 0 THEN near_s ELSE 0.0 END) AS engine_s,
    SUM(CASE WHEN fuel_covered_s > 0 THEN fuel_l ELSE 0.0 END
      + COALESCE(fuel_guessed_s * (before_rate + fuel_consumption) / 7200.0, 0.0)) AS fuel_l,
    SUM(fuel_covered_s + CASE
      WHEN state = 'off' OR (NOT before_rate IS NULL AND NOT fuel_consumption IS NULL) THEN fuel_guessed_s
      ELSE 0.0
    END) AS fuel_known_s,
    MAX(CASE WHEN opens = 0 AND odometer_reading < before_odometer THEN 1 ELSE 0 END) AS odometer_falls,
    MAX(CASE WHEN opens = 1 THEN odometer_reading END) AS first_odometer,
    MAX(CASE WHEN closes = 1 THEN odometer_reading END) AS last_odometer,
    MAX(CASE WHEN opens = 1 THEN fuel_level END) AS first_level,
    MAX(CASE WHEN closes = 1 THEN fuel_level END) AS last_level,
    MAX(CASE WHEN opens = 1 THEN fuel_consumption END) AS first_rate,
    MAX(CASE WHEN closes = 1 THEN fuel_consumption END) AS last_rate,
    MAX(CASE WHEN closes = 1 THEN engine_rpm END) AS last_rpm,
    MAX(CASE WHEN opens = 1 THEN interval_s END) AS first_interval_s,
    MAX(CASE WHEN opens = 1 THEN moving_s END) AS first_moving_s,
    MAX(CASE WHEN opens = 1 THEN idle_s END) AS first_idle_s,
    MAX(CASE WHEN opens = 1 THEN fuel_l END) AS first_fuel_l,
    MAX(CASE WHEN speed_max > speed THEN speed_max ELSE speed END) AS max_speed
  FROM measured
  GROUP BY truck_id, day, run_no
)
SELECT
  run.*,
  path.gps_km, path.first_latitude, path.first_longitude, path.last_latitude, path.last_longitude
FROM run
LEFT JOIN path ON path.truck_id = run.truck_id AND path.day = run.day AND path.run_no = run.run_no
