MODEL (
  name marts.driving_event,
  kind FULL,
  grain (truck_id, at, kind, peak),
  description 'One row per harsh manoeuvre that a truck reports, and per stretch over the speed limit.',
  column_descriptions (
    truck_id = 'the truck',
    at = 'when a manoeuvre was at its peak; first sample over the limit, UTC',
    kind = 'braking, acceleration, cornering or overspeed',
    peak = 'm/s² of a manoeuvre, positive in every direction; highest speed of an overspeed, km/h',
    latitude = 'degrees, of the sample that reports it',
    longitude = 'degrees, of the sample that reports it',
    trip_start = 'of the trip it belongs to; null outside any trip'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, at, kind, peak)),
    accepted_values(column := kind, is_in := ('braking', 'acceleration', 'cornering', 'overspeed'))
  )
);

WITH ordered AS (
  SELECT
    *,
    LAG(to_the_end) OVER (PARTITION BY truck_id ORDER BY day, stretch_no) AS before_to_the_end,
    LAG(end_ms) OVER (PARTITION BY truck_id ORDER BY day, stretch_no) AS before_ms
  FROM base.speeding
), numbered AS ( -- midnight does not end a stretch
  SELECT
    *,
    CAST(SUM(CASE WHEN first_nth = 1 AND before_to_the_end = 1 AND start_ms - before_ms <= 600000 THEN 0 ELSE 1 END)
      OVER (PARTITION BY truck_id ORDER BY day, stretch_no ROWS UNBOUNDED PRECEDING) AS BIGINT) AS event_no
  FROM ordered
), ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY truck_id, event_no ORDER BY day, stretch_no) AS nth
  FROM numbered
), manoeuvre AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY truck_id, at, kind, peak ORDER BY order_key) AS nth
  FROM base.harsh_event
), event AS (
  SELECT
    truck_id, MIN(start_at) AS at, MIN(start_at) AS sampled_at, 'overspeed' AS kind, MAX(peak) AS peak,
    MAX(CASE WHEN nth = 1 THEN latitude END) AS latitude, MAX(CASE WHEN nth = 1 THEN longitude END) AS longitude
  FROM ranked
  GROUP BY truck_id, event_no
  UNION ALL
  SELECT truck_id, at, sampled_at, kind, peak, latitude, longitude FROM manoeuvre WHERE nth = 1
), moment AS (
  SELECT truck_id, sampled_at, 1 AS nth, at, kind, peak, latitude, longitude, CAST(NULL AS TIMESTAMP) AS trip_start, CAST(NULL AS TIMESTAMP) AS trip_end
  FROM event
  UNION ALL
  SELECT truck_id, trip_start, 0, trip_start, CAST(NULL AS VARCHAR), CAST(NULL AS DOUBLE), CAST(NULL AS DOUBLE), CAST(NULL AS DOUBLE), trip_start, trip_end
  FROM marts.truck_trip
), placed AS ( -- trips of a truck do not overlap: an event is of the last one that began before it, if it had not ended
  SELECT
    truck_id, sampled_at, at, kind, peak, latitude, longitude,
    MAX(trip_start) OVER (PARTITION BY truck_id ORDER BY sampled_at, nth ROWS UNBOUNDED PRECEDING) AS trip_start,
    MAX(trip_end) OVER (PARTITION BY truck_id ORDER BY sampled_at, nth ROWS UNBOUNDED PRECEDING) AS trip_end
  FROM moment
)
SELECT
  truck_id, at, kind, peak, latitude, longitude,
  CASE WHEN sampled_at <= trip_end THEN trip_start END AS trip_start
FROM placed
WHERE NOT kind IS NULL
