MODEL (
  name marts.maintenance_due,
  kind FULL,
  grain (truck_id, item),
  description 'What is due on a truck as of its newest sample: one row per truck and item.',
  column_descriptions (
    truck_id = 'the truck',
    item = 'service, brakes, fault, tyre_fl, tyre_fr, tyre_rl, tyre_rr, battery, coolant or oil',
    reason = 'service: the interval of the register is used up. brakes, transmission (item fault): the status of the current version asks for service. fault: active faults in the current version. tyre: mean of the newest day 10 % or more under the highest daily mean of the 28 days before. battery: under 9.6 V (19.2 V in a 24 V truck) in an hour of the last 7 days. coolant: over 110 °C in 3 hours or more of the last 7 days. oil: under 15 psi with the engine over 500 rpm throughout, in 3 hours or more of the last 7 days',
    since = 'when it began, UTC',
    evidence = 'the figure that says so'
  ),
  audits (unique_combination_of_columns(columns := (truck_id, item)))
);

WITH newest AS (
  SELECT truck_id, MAX(hour) AS hour, MAX(day) AS day FROM marts.truck_hour GROUP BY truck_id
), recent AS (
  SELECT truck_hour.*
  FROM marts.truck_hour AS truck_hour
  JOIN newest ON newest.truck_id = truck_hour.truck_id
  WHERE truck_hour.day > newest.day - INTERVAL '7' DAY
), current_version AS (
  SELECT * FROM lake.truck_version WHERE is_current
), odometer AS (
  SELECT truck_id, MAX(last_odometer) AS km, MAX(end_at) AS at FROM base.truck_run GROUP BY truck_id
), service AS (
  SELECT vehicle.truck_id, odometer.km, odometer.at, vehicle.last_service_km, vehicle.service_every_km
  FROM base.vehicle AS vehicle
  JOIN odometer ON odometer.truck_id = vehicle.truck_id
  WHERE vehicle.valid_to IS NULL AND odometer.km - COALESCE(vehicle.last_service_km, 0) >= vehicle.service_every_km
), tyre AS (
  SELECT truck_id, day, 'tyre_fl' AS item, AVG(tire_pressure_front_left_mean) AS psi FROM marts.truck_hour GROUP BY truck_id, day
  UNION ALL
  SELECT truck_id, day, 'tyre_fr', AVG(tire_pressure_front_right_mean) FROM marts.truck_hour GROUP BY truck_id, day
  UNION ALL
  SELECT truck_id, day, 'tyre_rl', AVG(tire_pressure_rear_left_mean) FROM marts.truck_hour GROUP BY truck_id, day
  UNION ALL
  SELECT truck_id, day, 'tyre_rr', AVG(tire_pressure_rear_right_mean) FROM marts.truck_hour GROUP BY truck_id, day
), leaking AS (
  SELECT
    tyre.truck_id, tyre.item,
    MAX(CASE WHEN tyre.day = newest.day THEN tyre.psi END) AS now_psi,
    MAX(CASE WHEN tyre.day < newest.day AND tyre.day >= newest.day - INTERVAL '28' DAY THEN tyre.psi END) AS best_psi,
    MAX(newest.day) AS day
  FROM tyre
  JOIN newest ON newest.truck_id = tyre.truck_id
  GROUP BY tyre.truck_id, tyre.item
), due AS (
  SELECT truck_id, 'service' AS item, 'the service interval is used up' AS reason, at AS since,
    CAST(CAST(FLOOR(km - COALESCE(last_service_km, 0)) AS BIGINT) AS VARCHAR) || ' km of ' || CAST(CAST(FLOOR(service_every_km) AS BIGINT) AS VARCHAR) AS evidence
  FROM service
  UNION ALL
  SELECT truck_id, 'brakes', 'the brake status asks for service', effective_start_date, brake_status
  FROM current_version
  WHERE NOT LOWER(brake_status) IN ('ok', 'good', 'normal', 'operational')
  UNION ALL
  SELECT version.truck_id, 'fault', 'active faults, or the transmission asks for service', version.effective_start_date,
    'transmission ' || COALESCE(version.transmission_status, 'unknown') || ', faults ' || CAST(COUNT(fault.spn) AS VARCHAR)
  FROM current_version AS version
  LEFT JOIN lake.version_fault AS fault ON fault.truck_id = version.truck_id AND fault.order_key = version.order_key
  GROUP BY version.truck_id, version.effective_start_date, version.transmission_status
  HAVING COUNT(fault.spn) > 0 OR NOT LOWER(version.transmission_status) IN ('ok', 'good', 'normal', 'operational')
  UNION ALL
  SELECT truck_id, item, 'pressure falls slowly', CAST(day AS TIMESTAMP),
    CAST(CAST(FLOOR(now_psi) AS BIGINT) AS VARCHAR) || ' psi, was ' || CAST(CAST(FLOOR(best_psi) AS BIGINT) AS VARCHAR)
  FROM leaking
  WHERE now_psi <= 0.9 * best_psi
  UNION ALL
  SELECT truck_id, 'battery', 'voltage breaks down', MIN(hour), CAST(COUNT(*) AS VARCHAR) || ' hours'
  FROM recent
  WHERE (battery_voltage_max < 18 AND battery_voltage_min < 9.6) OR (battery_voltage_max >= 18 AND battery_voltage_min < 19.2)
  GROUP BY truck_id
  UNION ALL
  SELECT truck_id, 'coolant', 'the engine runs hot', MIN(hour), CAST(COUNT(*) AS VARCHAR) || ' hours'
  FROM recent
  WHERE engine_temperature_max > 110
  GROUP BY truck_id
  HAVING COUNT(*) >= 3
  UNION ALL
  SELECT truck_id, 'oil', 'oil pressure is low', MIN(hour), CAST(COUNT(*) AS VARCHAR) || ' hours'
  FROM recent
  WHERE oil_pressure_min < 15 AND engine_rpm_min > 500
  GROUP BY truck_id
  HAVING COUNT(*) >= 3
)
SELECT truck_id, item, reason, since, evidence FROM due
