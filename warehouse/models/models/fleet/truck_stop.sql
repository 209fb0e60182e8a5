MODEL (
  name marts.truck_stop,
  kind FULL,
  tags (tail_stop_start),
  grain (truck_id, stop_start),
  description 'One row per stop: at rest (below 5 km/h) for 5 minutes or more. Time without samples belongs to a stop while the truck has not moved over 0.5 km meanwhile.',
  column_descriptions (
    truck_id = 'the truck',
    stop_start = 'first sample at rest, UTC',
    stop_end = 'the next moving sample, or the last one seen at rest, UTC',
    latitude = 'degrees, first position at rest',
    longitude = 'degrees, first position at rest',
    idle_min = 'minutes of it with the engine on'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, stop_start)),
    forall(criteria := (stop_end >= stop_start, idle_min >= 0))
  )
);

WITH leg AS (
  SELECT
    leg.*,
    CASE WHEN gap_s > 600 AND COALESCE(link_odometer_km, link_straight_km, 0.0) > 0.5 THEN 1 ELSE 0 END AS jumped
  FROM base.trip_leg AS leg
  LEFT JOIN base.truck_cut AS cut ON cut.truck_id = leg.truck_id
  WHERE cut.leg_no IS NULL OR leg.leg_no >= cut.leg_no
), ahead AS (
  SELECT
    *,
    LEAD(state) OVER (PARTITION BY truck_id ORDER BY leg_no) AS next_state,
    LEAD(jumped) OVER (PARTITION BY truck_id ORDER BY leg_no) AS next_jumped,
    LEAD(start_at) OVER (PARTITION BY truck_id ORDER BY leg_no) AS next_at,
    LEAD(start_ms) OVER (PARTITION BY truck_id ORDER BY leg_no) AS next_ms,
    LEAD(link_idle_s) OVER (PARTITION BY truck_id ORDER BY leg_no) AS next_idle_s,
    CAST(SUM(jumped) OVER (PARTITION BY truck_id ORDER BY leg_no ROWS UNBOUNDED PRECEDING) AS BIGINT) AS jump_no
  FROM leg
), stop AS (
  SELECT
    truck_id, moving_no, jump_no,
    MIN(start_at) AS stop_start,
    MIN(start_ms) AS start_ms,
    MAX(CASE WHEN next_state = 'moving' AND next_jumped = 0 THEN next_at ELSE end_at END) AS stop_end,
    MAX(CASE WHEN next_state = 'moving' AND next_jumped = 0 THEN next_ms ELSE end_ms END) AS end_ms,
    MIN(leg_no) AS first_leg,
    SUM(idle_s + CASE WHEN next_jumped = 0 THEN next_idle_s ELSE 0.0 END) AS idle_s
  FROM ahead
  WHERE state <> 'moving'
  GROUP BY truck_id, moving_no, jump_no
)
SELECT
  stop.truck_id,
  stop.stop_start,
  stop.stop_end,
  leg.first_latitude AS latitude,
  leg.first_longitude AS longitude,
  stop.idle_s / 60.0 AS idle_min
FROM stop
JOIN base.trip_leg AS leg ON leg.truck_id = stop.truck_id AND leg.leg_no = stop.first_leg
WHERE stop.end_ms - stop.start_ms >= 300000
