MODEL (
  name marts.maintenance_due,
  kind FULL,
  grain (truck_id, item),
  description 'What is due on a truck as of its newest sample: one row per truck and item.',
  column_descriptions (
    truck_id = 'the truck',
    item = 'service, brakes, transmission, fault, tyre_fl, tyre_fr, tyre_rl, tyre_rr, battery, coolant or oil',
    reason = 'what is wrong; its limits stand in the table of thresholds above. A service that was recorded (milepost fleet service) clears what began before it',
    since = 'when it began, UTC',
    evidence = 'the figure that says so'
  ),
  audits (unique_combination_of_columns(columns := (truck_id, item)))
);

WITH newest AS (
  SELECT truck_id, MAX(hour) AS hour, MAX(day) AS day FROM marts.truck_hour GROUP BY truck_id
), recent AS ( -- hours before the newest, by days ago
  SELECT truck_hour.*, DATE_DIFF('DAY', truck_hour.day, newest.day) AS days_ago
  FROM marts.truck_hour AS truck_hour
  JOIN newest ON newest.truck_id = truck_hour.truck_id
), current_version AS (
  SELECT * FROM lake.truck_version WHERE is_current
), believed AS ( -- the odometer of the runs where it neither falls nor leaps
  SELECT
    truck_id, start_at, end_at,
    CASE WHEN odometer_wrong = 0 AND link_odometer_wrong = 0 THEN last_odometer END AS km
  FROM base.truck_leg
), odometer AS (
  SELECT truck_id, MAX(km) AS km, MAX(end_at) AS at FROM believed GROUP BY truck_id
), serviced AS ( -- the odometer at a service that does not say it: the highest of the runs that began before
  SELECT service.truck_id, COALESCE(MAX(service.odometer), MAX(run.km)) AS km
  FROM lake.truck_service AS service
  LEFT JOIN believed AS run ON run.truck_id = service.truck_id AND run.start_at <= service.serviced_at
  WHERE service.item = 'service'
  GROUP BY service.truck_id
), service AS (
  SELECT
    vehicle.truck_id, odometer.km, odometer.at, vehicle.service_every_km,
    CASE
      WHEN serviced.km > COALESCE(vehicle.last_service_km, 0.0) THEN serviced.km
      ELSE COALESCE(vehicle.last_service_km, 0.0)
    END AS last_km
  FROM base.vehicle AS vehicle
  JOIN odometer ON odometer.truck_id = vehicle.truck_id
  LEFT JOIN serviced ON serviced.truck_id = vehicle.truck_id
  WHERE vehicle.valid_to IS NULL
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
    tyre.truck_id, tyre.item, limits.tyre_limit,
    MAX(CASE WHEN tyre.day = newest.day THEN tyre.psi END) AS now_psi,
    MAX(CASE WHEN tyre.day < newest.day AND DATE_DIFF('DAY', tyre.day, newest.day) <= limits.tyre_days THEN tyre.psi END) AS best_psi,
    MAX(newest.day) AS day
  FROM tyre
  JOIN newest ON newest.truck_id = tyre.truck_id
  CROSS JOIN lake.threshold AS limits
  LEFT JOIN lake.truck_service AS done ON done.truck_id = tyre.truck_id AND done.item = tyre.item
  WHERE done.serviced_at IS NULL OR tyre.day > CAST(done.serviced_at AS DATE)
  GROUP BY tyre.truck_id, tyre.item, limits.tyre_limit
), bad_hour AS (
  SELECT recent.truck_id, recent.hour, 'battery' AS item, limits.battery_hours AS needed
  FROM recent
  CROSS JOIN lake.threshold AS limits
  WHERE days_ago < limits.battery_days
    AND ((battery_voltage_max < 18 AND battery_voltage_min < limits.battery_limit)
      OR (battery_voltage_max >= 18 AND battery_voltage_min < 2 * limits.battery_limit))
  UNION ALL
  SELECT recent.truck_id, recent.hour, 'coolant', limits.coolant_hours
  FROM recent
  CROSS JOIN lake.threshold AS limits
  WHERE days_ago < limits.coolant_days AND engine_temperature_max > limits.coolant_limit
  UNION ALL
  SELECT recent.truck_id, recent.hour, 'oil', limits.oil_hours
  FROM recent
  CROSS JOIN lake.threshold AS limits
  WHERE days_ago < limits.oil_days AND oil_pressure_min < limits.oil_limit AND engine_rpm_min > 500
), due AS (
  SELECT truck_id, 'service' AS item, 'the service interval is used up' AS reason, at AS since,
    CAST(CAST(FLOOR(km - last_km) AS BIGINT) AS VARCHAR) || ' km of ' || CAST(CAST(FLOOR(service_every_km) AS BIGINT) AS VARCHAR) AS evidence
  FROM service
  CROSS JOIN lake.threshold AS limits
  WHERE km - last_km >= limits.service_limit * service_every_km
  UNION ALL
  SELECT truck_id, 'brakes', 'the brake status asks for service', effective_start_date, brake_status
  FROM current_version
  WHERE brakes_due = 1
  UNION ALL
  SELECT truck_id, 'transmission', 'the transmission asks for service', effective_start_date, transmission_status
  FROM current_version
  WHERE transmission_due = 1
  UNION ALL
  SELECT version.truck_id, 'fault', 'active faults', version.effective_start_date, CAST(COUNT(fault.spn) AS VARCHAR) || ' faults'
  FROM current_version AS version
  JOIN lake.version_fault AS fault ON fault.truck_id = version.truck_id AND fault.order_key = version.order_key
  CROSS JOIN lake.threshold AS limits
  GROUP BY version.truck_id, version.effective_start_date, limits.fault_limit
  HAVING COUNT(fault.spn) >= limits.fault_limit
  UNION ALL
  SELECT truck_id, item, 'pressure falls slowly', CAST(day AS TIMESTAMP),
    CAST(CAST(FLOOR(now_psi) AS BIGINT) AS VARCHAR) || ' psi, was ' || CAST(CAST(FLOOR(best_psi) AS BIGINT) AS VARCHAR)
  FROM leaking
  WHERE now_psi <= tyre_limit * best_psi
  UNION ALL
  SELECT
    bad_hour.truck_id, bad_hour.item,
    CASE
      WHEN bad_hour.item = 'battery' THEN 'voltage breaks down'
      WHEN bad_hour.item = 'coolant' THEN 'the engine runs hot'
      ELSE 'oil pressure is low'
    END,
    MIN(bad_hour.hour), CAST(COUNT(*) AS VARCHAR) || ' hours'
  FROM bad_hour
  LEFT JOIN lake.truck_service AS done ON done.truck_id = bad_hour.truck_id AND done.item = bad_hour.item
  WHERE done.serviced_at IS NULL OR bad_hour.hour >= done.serviced_at
  GROUP BY bad_hour.truck_id, bad_hour.item, bad_hour.needed
  HAVING COUNT(*) >= bad_hour.needed
)
SELECT due.truck_id, due.item, due.reason, due.since, due.evidence
FROM due
LEFT JOIN lake.truck_service AS done ON done.truck_id = due.truck_id AND done.item = due.item
WHERE done.serviced_at IS NULL OR done.serviced_at < due.since OR due.item LIKE 'tyre%' OR due.item = 'service'
