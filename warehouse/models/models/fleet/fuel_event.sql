MODEL (
  name marts.fuel_event,
  kind FULL,
  tags (tail_at),
  grain (truck_id, at),
  description 'One row per refuel or drop: a change of the fuel level by the points of the threshold fuel_level or more that stays for its samples. It may come in many small steps while the engine is off; 10 minutes at one level end it. Levels are means of three samples.',
  column_descriptions (
    truck_id = 'the truck',
    at = 'first sample of the new level, UTC; of many steps the one after the largest',
    kind = 'refuel or drop; a fall over a stretch that was driven unobserved is consumption and no event',
    level_before = 'level before, %',
    level_after = 'level after, %',
    litres = 'the change in litres by the tank size of the vehicle register; null where it is not known',
    suspicious = 'a drop while the engine was off'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, at)),
    accepted_values(column := kind, is_in := ('refuel', 'drop')),
    forall(criteria := (ABS(level_after - level_before) >= (SELECT fuel_level_limit FROM lake.threshold)))
  )
);

WITH segment AS (
  SELECT segment.*
  FROM base.level_segment AS segment
  LEFT JOIN base.truck_cut AS cut ON cut.truck_id = segment.truck_id
  WHERE cut.level_from IS NULL OR segment.start_at >= cut.level_from
), ordered AS (
  SELECT
    *,
    LAG(last_level) OVER (PARTITION BY truck_id ORDER BY first_key, segment_no) AS before_level,
    LAG(engine_off) OVER (PARTITION BY truck_id ORDER BY first_key, segment_no) AS before_off
  FROM segment
), grouped AS ( -- midnight splits a segment that goes on
  SELECT
    *,
    CAST(SUM(CASE WHEN before_level IS NULL OR ABS(first_level - before_level) >= 2 OR engine_off <> before_off THEN 1 ELSE 0 END)
      OVER (PARTITION BY truck_id ORDER BY first_key, segment_no ROWS UNBOUNDED PRECEDING) AS BIGINT) AS level_no
  FROM ordered
), ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY truck_id, level_no ORDER BY first_key, segment_no) AS nth,
    LAST_VALUE(tail_level) OVER (
      PARTITION BY truck_id, level_no ORDER BY first_key, segment_no ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS final_level,
    LAST_VALUE(last_odometer) OVER (
      PARTITION BY truck_id, level_no ORDER BY first_key, segment_no ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS final_odometer
  FROM grouped
), steady AS ( -- what does not stay is noise
  SELECT
    truck_id, level_no,
    MAX(engine_off) AS engine_off,
    MIN(start_at) AS start_at,
    MIN(start_ms) AS start_ms,
    MAX(end_ms) AS end_ms,
    MAX(CASE WHEN nth = 1 THEN head_level END) AS head_level,
    MAX(final_level) AS tail_level,
    MIN(CASE WHEN tail_level <= final_level + 1.000001 THEN low_at END) AS low_at,
    MIN(CASE WHEN tail_level >= final_level - 1.000001 THEN high_at END) AS high_at,
    MAX(CASE WHEN nth = 1 THEN first_odometer END) AS first_odometer,
    MAX(final_odometer) AS last_odometer,
    MAX(CASE WHEN nth = 1 THEN first_rpm END) AS first_rpm
  FROM ranked
  GROUP BY truck_id, level_no
  HAVING SUM(samples) >= (SELECT fuel_level_samples FROM lake.threshold)
), followed AS (
  SELECT
    *,
    LAG(tail_level) OVER (PARTITION BY truck_id ORDER BY level_no) AS before_level,
    LAG(end_ms) OVER (PARTITION BY truck_id ORDER BY level_no) AS before_ms,
    LAG(last_odometer) OVER (PARTITION BY truck_id ORDER BY level_no) AS before_odometer,
    LAG(engine_off) OVER (PARTITION BY truck_id ORDER BY level_no) AS before_off
  FROM steady
), change AS ( -- from one steady level to the next, and while the engine is off within one
  SELECT
    truck_id, level_no * 2 AS change_no, start_at AS at, before_level, head_level AS after_level, first_rpm,
    CASE
      WHEN head_level < before_level AND start_ms - before_ms > 600000
        AND (first_odometer IS NULL OR before_odometer IS NULL OR first_odometer - before_odometer >= 1) THEN 0.0
      WHEN engine_off = 0 AND before_off = 0 AND ABS(head_level - before_level) < limits.fuel_level_limit THEN 0.0
      ELSE head_level - before_level
    END AS points,
    0 AS lasting
  FROM followed
  CROSS JOIN lake.threshold AS limits
  WHERE NOT before_level IS NULL
  UNION ALL
  SELECT
    truck_id, level_no * 2 + 1, CASE WHEN tail_level < head_level THEN low_at ELSE high_at END, head_level, tail_level,
    CASE WHEN engine_off = 1 THEN 0.0 ELSE first_rpm END,
    CASE WHEN engine_off = 1 THEN tail_level - head_level ELSE 0.0 END,
    CASE WHEN end_ms - start_ms >= 600000 THEN 1 ELSE 0 END
  FROM followed
), directed AS (
  SELECT *, CASE WHEN points >= 0.5 THEN 1 WHEN points <= -0.5 THEN -1 ELSE 0 END AS direction FROM change
), chained AS (
  SELECT *, LAG(direction) OVER (PARTITION BY truck_id ORDER BY change_no) AS before_direction
  FROM directed
  WHERE direction <> 0 OR lasting = 1
), numbered AS (
  SELECT
    *,
    CAST(SUM(CASE WHEN direction = before_direction THEN 0 ELSE 1 END)
      OVER (PARTITION BY truck_id ORDER BY change_no ROWS UNBOUNDED PRECEDING) AS BIGINT) AS event_no
  FROM chained
), placed AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY truck_id, event_no ORDER BY change_no) AS nth,
    ROW_NUMBER() OVER (PARTITION BY truck_id, event_no ORDER BY change_no DESC) AS nth_last,
    ROW_NUMBER() OVER (PARTITION BY truck_id, event_no ORDER BY ABS(points) DESC, change_no) AS nth_largest
  FROM numbered
  WHERE direction <> 0
), event AS (
  SELECT
    truck_id, event_no,
    MAX(CASE WHEN nth_largest = 1 THEN at END) AS at,
    MAX(CASE WHEN nth_largest = 1 THEN first_rpm END) AS rpm,
    MAX(CASE WHEN nth = 1 THEN before_level END) AS level_before,
    MAX(CASE WHEN nth_last = 1 THEN after_level END) AS level_after
  FROM placed
  GROUP BY truck_id, event_no
)
SELECT
  event.truck_id,
  event.at,
  CASE WHEN level_after > level_before THEN 'refuel' ELSE 'drop' END AS kind,
  level_before,
  level_after,
  ABS(level_after - level_before) / 100.0 * vehicle.tank_litres AS litres,
  level_after < level_before AND COALESCE(rpm, 0) = 0 AS suspicious
FROM event
LEFT JOIN base.vehicle AS vehicle
  ON vehicle.truck_id = event.truck_id AND vehicle.valid_from <= event.at
  AND (vehicle.valid_to IS NULL OR event.at < vehicle.valid_to)
LEFT JOIN base.truck_cut AS cut ON cut.truck_id = event.truck_id
CROSS JOIN lake.threshold AS limits
WHERE ABS(level_after - level_before) >= limits.fuel_level_limit AND (cut.at IS NULL OR event.at >= cut.at)
