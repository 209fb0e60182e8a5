MODEL (
  name base.speeding,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, day, stretch_no),
  description 'Consecutive samples of a truck and day over its speed limit, no more than 10 minutes apart. The limit is the lowest of the zones it is in, else that of the vehicle register, else that of the fleet.',
  audits (unique_combination_of_columns(columns := (truck_id, day, stretch_no)))
);

WITH zoned AS (
  SELECT zone_sample.truck_id, zone_sample.day, zone_sample.order_key, MIN(zone.speed_limit_kmh) AS speed_limit_kmh
  FROM base.zone_sample AS zone_sample
  JOIN lake.zone AS zone ON zone.zone_id = zone_sample.zone_id
  WHERE zone_sample.day BETWEEN @start_date AND @end_date
  GROUP BY zone_sample.truck_id, zone_sample.day, zone_sample.order_key
), sample AS (
  SELECT
    sample.truck_id, sample.day, sample.order_key, sample.sampled_at, sample.sampled_ms, gps_latitude, gps_longitude,
    CASE
      WHEN speed_max > COALESCE(vehicle_speed, gps_speed) THEN speed_max
      ELSE COALESCE(vehicle_speed, gps_speed, speed_max)
    END AS speed,
    COALESCE(zoned.speed_limit_kmh, vehicle.speed_limit_kmh, fleet.speed_limit_kmh) AS speed_limit_kmh
  FROM lake.telemetry AS sample
  CROSS JOIN lake.fleet_setting AS fleet
  LEFT JOIN zoned
    ON zoned.truck_id = sample.truck_id AND zoned.day = sample.day AND zoned.order_key = sample.order_key
  LEFT JOIN lake.vehicle_version AS vehicle
    ON vehicle.truck_id = sample.truck_id AND vehicle.valid_from <= sample.sampled_at
    AND (vehicle.valid_to IS NULL OR sample.sampled_at < vehicle.valid_to)
  WHERE sample.day BETWEEN @start_date AND @end_date
    AND (NOT vehicle_speed IS NULL OR NOT gps_speed IS NULL OR NOT speed_max IS NULL)
), step AS (
  SELECT
    *,
    CASE WHEN speed > speed_limit_kmh THEN 1 ELSE 0 END AS over,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day ORDER BY order_key) AS nth,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day ORDER BY order_key DESC) AS nth_last,
    LAG(CASE WHEN speed > speed_limit_kmh THEN 1 ELSE 0 END) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_over,
    LAG(sampled_ms) OVER (PARTITION BY truck_id, day ORDER BY order_key) AS before_ms
  FROM sample
), numbered AS (
  SELECT
    *,
    CAST(SUM(CASE WHEN over = 1 AND (before_over IS NULL OR before_over = 0 OR sampled_ms - before_ms > 600000) THEN 1 ELSE 0 END)
      OVER (PARTITION BY truck_id, day ORDER BY order_key ROWS UNBOUNDED PRECEDING) AS BIGINT) AS stretch_no
  FROM step
), ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY truck_id, day, stretch_no ORDER BY order_key) AS nth_of_stretch
  FROM numbered
  WHERE over = 1
)
SELECT
  truck_id, day, stretch_no,
  MIN(sampled_at) AS start_at,
  MIN(sampled_ms) AS start_ms,
  MAX(sampled_ms) AS end_ms,
  MAX(speed) AS peak,
  MIN(nth) AS first_nth,
  MAX(CASE WHEN nth_last = 1 THEN 1 ELSE 0 END) AS to_the_end,
  MAX(CASE WHEN nth_of_stretch = 1 THEN gps_latitude END) AS latitude,
  MAX(CASE WHEN nth_of_stretch = 1 THEN gps_longitude END) AS longitude
FROM ranked
GROUP BY truck_id, day, stretch_no
