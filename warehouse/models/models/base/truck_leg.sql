MODEL (
  name base.truck_leg,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  tags (tail_day),
  grain (truck_id, leg_no),
  description 'The runs of a truck over all days, each with the time and the way since the run before (the link). leg_no ascends in time.',
  audits (unique_combination_of_columns(columns := (truck_id, leg_no)))
);

WITH before AS ( -- the day that each truck's first run of these days follows
  SELECT truck_id, MAX(day) AS day FROM base.truck_run WHERE day < @start_date GROUP BY truck_id
), run AS (
  SELECT
    run.*,
    CAST(DATE_DIFF('day', DATE '2000-01-03', run.day) AS BIGINT) * 10000000 + run.run_no AS leg_no
  FROM base.truck_run AS run
  LEFT JOIN before ON before.truck_id = run.truck_id
  WHERE run.day BETWEEN @start_date AND @end_date OR run.day = before.day
), ordered AS (
  SELECT
    *,
    LAG(state) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_state,
    LAG(start_ms) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_start_ms,
    LAG(end_ms) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_ms,
    LAG(last_odometer) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_odometer,
    LAG(last_rate) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_rate,
    LAG(last_rpm) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_rpm,
    LAG(last_latitude) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_latitude,
    LAG(last_longitude) OVER (PARTITION BY truck_id ORDER BY leg_no) AS before_longitude
  FROM run
), linked AS (
  SELECT
    *,
    (start_ms - before_ms) / 1000.0 AS gap_s,
    CASE WHEN start_ms - before_ms <= 120000 THEN (start_ms - before_ms) / 1000.0 ELSE 0.0 END AS near_s,
    CASE
      WHEN NOT first_moving_s IS NULL AND NOT first_idle_s IS NULL
        AND first_interval_s <= (start_ms - before_ms) / 1000.0 + 5 THEN first_interval_s
      ELSE 0.0
    END AS covered_s,
    CASE
      WHEN NOT first_fuel_l IS NULL AND first_interval_s <= (start_ms - before_ms) / 1000.0 + 5 THEN first_interval_s
      ELSE 0.0
    END AS fuel_covered_s,
    12742.0176 * ASIN(SQRT(
      POWER(SIN(RADIANS(first_latitude - before_latitude) / 2), 2)
      + COS(RADIANS(before_latitude)) * COS(RADIANS(first_latitude))
      * POWER(SIN(RADIANS(first_longitude - before_longitude) / 2), 2))) AS straight_km
  FROM ordered
), guessed AS (
  SELECT
    *,
    CASE WHEN near_s > covered_s THEN near_s - covered_s ELSE 0.0 END AS guessed_s,
    CASE WHEN near_s > fuel_covered_s THEN near_s - fuel_covered_s ELSE 0.0 END AS fuel_guessed_s,
    @apart_km + gap_s * @most_kmh / 3600.0 AS link_most_km,
    @apart_km + (end_ms - start_ms) * @most_kmh / 3600000.0 AS most_km
  FROM linked
)
SELECT
  truck_id, day, leg_no, state, start_at, end_at, start_ms, end_ms, observed_s, moving_s, idle_s, engine_s, fuel_l,
  fuel_known_s, first_odometer, last_odometer, first_level, last_level, max_speed, gps_km,
  first_latitude, first_longitude, last_latitude, last_longitude, gap_s, before_state,
  CASE -- whatever comes later: a trip that begins with this leg is known by it and the leg before
    WHEN state = 'moving' AND (gap_s > 600 OR (before_state <> 'moving' AND start_ms - before_start_ms >= 300000)) THEN 1
    ELSE 0
  END AS surely_opens,
  CASE WHEN odometer_falls = 1 OR last_odometer - first_odometer > most_km THEN 1 ELSE 0 END AS odometer_wrong,
  CASE WHEN straight_km <= link_most_km THEN straight_km END AS link_straight_km,
  CASE WHEN covered_s > near_s THEN covered_s ELSE near_s END AS link_observed_s,
  CASE WHEN covered_s > 0 THEN first_moving_s ELSE 0.0 END
    + CASE WHEN before_state = 'moving' THEN guessed_s ELSE 0.0 END AS link_moving_s,
  CASE WHEN covered_s > 0 THEN first_idle_s ELSE 0.0 END
    + CASE WHEN before_state = 'idle' THEN guessed_s ELSE 0.0 END AS link_idle_s,
  CASE WHEN before_rpm > 0 THEN near_s ELSE 0.0 END AS link_engine_s,
  CASE WHEN fuel_covered_s > 0 THEN first_fuel_l ELSE 0.0 END
    + COALESCE(fuel_guessed_s * (before_rate + first_rate) / 7200.0, 0.0) AS link_fuel_l,
  fuel_covered_s + CASE
    WHEN before_state = 'off' OR (NOT before_rate IS NULL AND NOT first_rate IS NULL) THEN fuel_guessed_s
    ELSE 0.0
  END AS link_fuel_known_s,
  CASE
    WHEN first_odometer < before_odometer OR first_odometer - before_odometer > link_most_km THEN 1
    ELSE 0
  END AS link_odometer_wrong,
  CASE
    WHEN first_odometer >= before_odometer AND first_odometer - before_odometer <= link_most_km
      THEN first_odometer - before_odometer
  END AS link_odometer_km
FROM guessed
WHERE day BETWEEN @start_date AND @end_date
