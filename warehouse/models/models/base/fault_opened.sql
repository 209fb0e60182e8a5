MODEL (
  name base.fault_opened,
  kind FULL,
  grain (truck_id, order_key, spn, fmi, source),
  description 'Faults that a version has and the one before has not.'
);

WITH version AS (
  SELECT
    truck_id, day, order_key,
    LAG(order_key) OVER (PARTITION BY truck_id ORDER BY order_key) AS before_key
  FROM lake.truck_version
)
SELECT fault.truck_id, version.day, fault.order_key, fault.spn, fault.fmi, fault.source
FROM lake.version_fault AS fault
JOIN version ON version.truck_id = fault.truck_id AND version.order_key = fault.order_key
LEFT JOIN lake.version_fault AS earlier
  ON earlier.truck_id = fault.truck_id AND earlier.order_key = version.before_key
  AND earlier.spn = fault.spn AND earlier.fmi = fault.fmi AND earlier.source = fault.source
WHERE earlier.truck_id IS NULL
