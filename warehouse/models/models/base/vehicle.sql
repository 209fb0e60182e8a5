MODEL (
  name base.vehicle,
  kind FULL,
  grain (truck_id, valid_from),
  description 'The vehicle register: what holds of a truck from when until when.',
  audits (unique_combination_of_columns(columns := (truck_id, valid_from)))
);

SELECT
  truck_id, valid_from, valid_to, tank_litres, capacity, depot_latitude, depot_longitude, service_every_km,
  last_service_km, last_service_at
FROM lake.vehicle_version
