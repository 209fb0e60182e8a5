MODEL (
  name marts.truck_trip,
  kind FULL,
  tags (tail_trip_start),
  grain (truck_id, trip_start),
  description 'One row per trip: from the first moving sample (5 km/h or more) to before a stop of 5 minutes or more, or where nothing was observed for 10.',
  column_descriptions (
    truck_id = 'the truck',
    trip_start = 'first moving sample, UTC',
    trip_end = 'first sample at rest, or the last one seen, UTC',
    start_latitude = 'degrees',
    start_longitude = 'degrees',
    end_latitude = 'degrees',
    end_longitude = 'degrees',
    distance_km = 'km by odometer where it is valid at both ends and neither falls nor leaps, else along the GPS path',
    distance_source = 'odometer or gps',
    moving_min = 'minutes at 5 km/h or more',
    idle_min = 'minutes with the engine on and below 5 km/h',
    unobserved_min = 'minutes between samples over 2 minutes apart that no summary covers',
    fuel_l = 'litres: integral of the fuel rate where it is known for 90 % of the observed time, else by level and tank with refuels added back',
    fuel_source = 'rate or level',
    average_speed_kmh = 'distance over the whole duration',
    max_speed_kmh = 'highest speed seen'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, trip_start)),
    not_null(columns := (truck_id, trip_start, trip_end)),
    forall(criteria := (trip_end >= trip_start, COALESCE(distance_km, 0) >= 0, moving_min >= 0, idle_min >= 0))
  )
);

WITH leg AS (
  SELECT
    leg.*,
    ROW_NUMBER() OVER (PARTITION BY leg.truck_id, leg.trip_no ORDER BY leg.leg_no) AS nth,
    ROW_NUMBER() OVER (PARTITION BY leg.truck_id, leg.trip_no ORDER BY leg.leg_no DESC) AS nth_last
  FROM base.trip_leg AS leg
  LEFT JOIN base.truck_cut AS cut ON cut.truck_id = leg.truck_id
  WHERE leg.part IN ('first', 'within', 'end') AND (cut.leg_no IS NULL OR leg.leg_no >= cut.leg_no)
), ends AS ( -- first and last leg by their place: joining them again took a product of all legs of a truck
  SELECT
    truck_id, trip_no,
    MIN(start_at) AS trip_start,
    MAX(CASE WHEN part = 'end' THEN start_at ELSE end_at END) AS trip_end,
    MIN(start_ms) AS start_ms,
    MAX(CASE WHEN part = 'end' THEN start_ms ELSE end_ms END) AS end_ms,
    SUM(CASE WHEN part = 'end' THEN 0.0 ELSE moving_s END + CASE WHEN part = 'first' THEN 0.0 ELSE link_moving_s END) AS moving_s,
    SUM(CASE WHEN part = 'end' THEN 0.0 ELSE idle_s END + CASE WHEN part = 'first' THEN 0.0 ELSE link_idle_s END) AS idle_s,
    SUM(CASE WHEN part = 'end' THEN 0.0 ELSE observed_s END
      + CASE WHEN part = 'first' THEN 0.0 ELSE link_observed_s END) AS observed_s,
    SUM(CASE WHEN part = 'end' THEN 0.0 ELSE fuel_l END + CASE WHEN part = 'first' THEN 0.0 ELSE link_fuel_l END) AS fuel_l,
    SUM(CASE WHEN part = 'end' THEN 0.0 ELSE fuel_known_s END
      + CASE WHEN part = 'first' THEN 0.0 ELSE link_fuel_known_s END) AS fuel_known_s,
    SUM(CASE WHEN part = 'end' THEN 0.0 ELSE COALESCE(gps_km, 0.0) END
      + CASE WHEN part = 'first' THEN 0.0 ELSE COALESCE(link_straight_km, 0.0) END) AS gps_km,
    COUNT(first_latitude) AS positioned,
    MAX(CASE WHEN part = 'end' THEN 0 ELSE odometer_wrong END) AS wrong,
    MAX(CASE WHEN part = 'first' THEN 0 ELSE link_odometer_wrong END) AS link_wrong,
    MAX(CASE WHEN part = 'end' THEN NULL ELSE max_speed END) AS max_speed_kmh,
    MAX(CASE WHEN nth = 1 THEN first_latitude END) AS start_latitude,
    MAX(CASE WHEN nth = 1 THEN first_longitude END) AS start_longitude,
    MAX(CASE WHEN nth_last > 1 THEN NULL WHEN part = 'end' THEN first_latitude ELSE last_latitude END) AS end_latitude,
    MAX(CASE WHEN nth_last > 1 THEN NULL WHEN part = 'end' THEN first_longitude ELSE last_longitude END) AS end_longitude,
    MAX(CASE WHEN nth = 1 THEN first_odometer END) AS start_odometer,
    MAX(CASE WHEN nth_last > 1 THEN NULL WHEN part = 'end' THEN first_odometer ELSE last_odometer END) AS end_odometer,
    MAX(CASE WHEN nth = 1 THEN first_level END) AS start_level,
    MAX(CASE WHEN nth_last > 1 THEN NULL WHEN part = 'end' THEN first_level ELSE last_level END) AS end_level
  FROM leg
  GROUP BY truck_id, trip_no
), followed AS ( -- trips of a truck do not overlap: a refuel is of the last one that began before it, if it had not ended
  SELECT
    truck_id, at, points,
    MAX(trip_no) OVER (PARTITION BY truck_id ORDER BY at, nth, trip_no ROWS UNBOUNDED PRECEDING) AS trip_no,
    MAX(trip_end) OVER (PARTITION BY truck_id ORDER BY at, nth, trip_no ROWS UNBOUNDED PRECEDING) AS trip_end
  FROM (
    SELECT truck_id, at, 0 AS nth, level_after - level_before AS points, CAST(NULL AS BIGINT) AS trip_no, CAST(NULL AS TIMESTAMP) AS trip_end
    FROM marts.fuel_event
    WHERE kind = 'refuel'
    UNION ALL
    SELECT truck_id, trip_start, 1, CAST(NULL AS DOUBLE), trip_no, trip_end FROM ends
  ) AS moment
), refuelled AS (
  SELECT truck_id, trip_no, SUM(points) AS points
  FROM followed
  WHERE NOT points IS NULL AND at <= trip_end
  GROUP BY truck_id, trip_no
), sourced AS (
  SELECT
    ends.*,
    CASE
      WHEN wrong = 0 AND link_wrong = 0 AND end_odometer >= start_odometer THEN 'odometer'
      WHEN positioned > 0 THEN 'gps'
    END AS distance_source,
    CASE
      WHEN fuel_known_s > 0 AND fuel_known_s >= 0.9 * observed_s THEN 'rate'
      WHEN NOT vehicle.tank_litres IS NULL AND NOT start_level IS NULL AND NOT end_level IS NULL THEN 'level'
    END AS fuel_source,
    (start_level - end_level + COALESCE(refuelled.points, 0.0)) / 100.0 * vehicle.tank_litres AS level_l
  FROM ends
  LEFT JOIN refuelled ON refuelled.truck_id = ends.truck_id AND refuelled.trip_no = ends.trip_no
  LEFT JOIN base.vehicle AS vehicle
    ON vehicle.truck_id = ends.truck_id AND vehicle.valid_from <= ends.trip_start
    AND (vehicle.valid_to IS NULL OR ends.trip_start < vehicle.valid_to)
), measured AS (
  SELECT
    *,
    CASE
      WHEN distance_source = 'odometer' THEN end_odometer - start_odometer
      WHEN distance_source = 'gps' THEN gps_km
    END AS distance_km
  FROM sourced
)
SELECT
  truck_id, trip_start, trip_end, start_latitude, start_longitude, end_latitude, end_longitude, distance_km, distance_source,
  moving_s / 60.0 AS moving_min,
  idle_s / 60.0 AS idle_min,
  CASE
    WHEN (end_ms - start_ms) / 1000.0 > observed_s THEN ((end_ms - start_ms) / 1000.0 - observed_s) / 60.0
    ELSE 0.0
  END AS unobserved_min,
  CASE
    WHEN fuel_source = 'rate' THEN fuel_l
    WHEN fuel_source = 'level' AND level_l > 0 THEN level_l
    WHEN fuel_source = 'level' THEN 0.0
  END AS fuel_l,
  fuel_source,
  CASE WHEN end_ms > start_ms THEN distance_km * 3600000.0 / (end_ms - start_ms) END AS average_speed_kmh,
  max_speed_kmh
FROM measured
