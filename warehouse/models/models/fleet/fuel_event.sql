MODEL (
  name marts.fuel_event,
  kind FULL,
  grain (truck_id, at),
  description 'One row per refuel or drop: a change of the fuel level of 5 points or more that stays for three samples. Levels are means of three samples.',
  column_descriptions (
    truck_id = 'the truck',
    at = 'first sample of the new level, UTC',
    kind = 'refuel or drop; a fall over a stretch that was driven unobserved is consumption and no event',
    level_before = 'level before, %',
    level_after = 'level after, %',
    litres = 'the change in litres by the tank size of the vehicle register; null where it is not known',
    suspicious = 'a drop while the engine was off'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, at)),
    accepted_values(column := kind, is_in := ('refuel', 'drop')),
    forall(criteria := (ABS(level_after - level_before) >= 5))
  )
);

WITH ordered AS (
  SELECT
    *,
    LAG(last_level) OVER (PARTITION BY truck_id ORDER BY first_key, segment_no) AS before_level
  FROM base.level_segment
), grouped AS ( -- midnight splits a segment that goes on
  SELECT
    *,
    CAST(SUM(CASE WHEN before_level IS NULL OR ABS(first_level - before_level) >= 2 THEN 1 ELSE 0 END)
      OVER (PARTITION BY truck_id ORDER BY first_key, segment_no ROWS UNBOUNDED PRECEDING) AS BIGINT) AS level_no
  FROM ordered
), ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY truck_id, level_no ORDER BY first_key, segment_no) AS nth,
    ROW_NUMBER() OVER (PARTITION BY truck_id, level_no ORDER BY first_key DESC, segment_no DESC) AS nth_last
  FROM grouped
), steady AS ( -- what does not stay for three samples is noise
  SELECT
    truck_id, level_no,
    MIN(start_at) AS at,
    MIN(start_ms) AS start_ms,
    MAX(end_ms) AS end_ms,
    MAX(CASE WHEN nth = 1 THEN head_level END) AS head_level,
    MAX(CASE WHEN nth_last = 1 THEN tail_level END) AS tail_level,
    MAX(CASE WHEN nth = 1 THEN first_odometer END) AS first_odometer,
    MAX(CASE WHEN nth_last = 1 THEN last_odometer END) AS last_odometer,
    MAX(CASE WHEN nth = 1 THEN first_rpm END) AS first_rpm
  FROM ranked
  GROUP BY truck_id, level_no
  HAVING SUM(samples) >= 3
), change AS (
  SELECT
    *,
    LAG(tail_level) OVER (PARTITION BY truck_id ORDER BY level_no) AS level_before,
    LAG(end_ms) OVER (PARTITION BY truck_id ORDER BY level_no) AS before_ms,
    LAG(last_odometer) OVER (PARTITION BY truck_id ORDER BY level_no) AS before_odometer
  FROM steady
)
SELECT
  change.truck_id,
  change.at,
  CASE WHEN head_level > level_before THEN 'refuel' ELSE 'drop' END AS kind,
  level_before,
  head_level AS level_after,
  ABS(head_level - level_before) / 100.0 * vehicle.tank_litres AS litres,
  head_level < level_before AND COALESCE(first_rpm, 0) = 0 AS suspicious
FROM change
LEFT JOIN base.vehicle AS vehicle
  ON vehicle.truck_id = change.truck_id AND vehicle.valid_from <= change.at
  AND (vehicle.valid_to IS NULL OR change.at < vehicle.valid_to)
WHERE head_level - level_before >= 5
  OR (level_before - head_level >= 5 AND NOT (start_ms - before_ms > 600000 AND first_odometer - before_odometer >= 1)
    AND NOT (start_ms - before_ms > 600000 AND (first_odometer IS NULL OR before_odometer IS NULL)))
