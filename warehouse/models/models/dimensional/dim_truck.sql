MODEL (
  name marts.dim_truck,
  kind FULL,
  grain (truck_id),
  description 'Trucks as dimension of the facts: those of the vehicle register as it is now, and those that sent a sample or carry an order.',
  column_descriptions (
    truck_id = 'the truck',
    plate = 'of the register',
    name = 'of the register',
    vehicle_group = 'of the register',
    fuel_type = 'of the register',
    tank_litres = 'of the register, L',
    capacity = 'of the register',
    first_day = 'UTC day of the first sample',
    last_day = 'UTC day of the last sample'
  ),
  audits (unique_combination_of_columns(columns := (truck_id)))
);

WITH seen AS (
  SELECT truck_id, MIN(day) AS first_day, MAX(day) AS last_day FROM base.sample_day GROUP BY truck_id
), subject AS (
  SELECT truck_id FROM seen
  UNION
  SELECT truck_id FROM lake.vehicle_version
  UNION
  SELECT truck_id FROM lake.customer_order WHERE NOT truck_id IS NULL
)
SELECT
  subject.truck_id, vehicle.plate, vehicle.name, vehicle.vehicle_group, vehicle.fuel_type, vehicle.tank_litres,
  vehicle.capacity, seen.first_day, seen.last_day
FROM subject
LEFT JOIN seen ON seen.truck_id = subject.truck_id
LEFT JOIN lake.vehicle_version AS vehicle ON vehicle.truck_id = subject.truck_id AND vehicle.is_current
