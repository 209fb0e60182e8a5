MODEL (
  name base.leg_day,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  tags (tail_day),
  grain (truck_id, day),
  description 'What the legs of a truck and day add up to, with the way since the leg before each.',
  audits (unique_combination_of_columns(columns := (truck_id, day)))
);

WITH leg AS (
  SELECT
    *,
    CASE
      WHEN odometer_wrong = 0 AND last_odometer >= first_odometer THEN last_odometer - first_odometer
      ELSE gps_km
    END AS run_km,
    CASE WHEN gap_s <= 600 THEN COALESCE(link_odometer_km, link_straight_km) ELSE link_odometer_km END AS link_km,
    CASE WHEN state = 'idle' THEN fuel_l ELSE 0.0 END
      + CASE WHEN before_state = 'idle' THEN link_fuel_l ELSE 0.0 END AS idle_l
  FROM base.truck_leg
  WHERE day BETWEEN @start_date AND @end_date
)
SELECT
  truck_id, day,
  SUM(COALESCE(run_km, 0.0) + COALESCE(link_km, 0.0)) AS distance_km,
  SUM(engine_s + link_engine_s) AS engine_s,
  SUM(idle_s + link_idle_s) AS idle_s,
  SUM(fuel_l + link_fuel_l) AS fuel_l,
  SUM(fuel_known_s + link_fuel_known_s) AS fuel_known_s,
  SUM(observed_s + link_observed_s) AS observed_s,
  SUM(idle_l) AS idle_l,
  MAX(max_speed) AS max_speed_kmh
FROM leg
GROUP BY truck_id, day
