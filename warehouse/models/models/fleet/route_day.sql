MODEL (
  name marts.route_day,
  kind FULL,
  grain (truck_id, day),
  description 'Stored route plans against what was driven, per truck and UTC day; of a plan that was made again the newest version counts.',
  column_descriptions (
    day = 'UTC day of the plan',
    truck_id = 'the truck',
    stops_planned = 'deliveries in the plan',
    stops_done = 'of them, those delivered by the truck',
    km_planned = 'km of the plan',
    km_driven = 'truck_day.distance_km; null where the truck gave no sample',
    km_given_order = 'km in the order in which the stops were given',
    litres_saved = 'litres of km_given_order less km_planned, by the truck''s own consumption as the plan knew it',
    late = 'of the stops done, those delivered after the promise'
  ),
  audits (unique_combination_of_columns(columns := (truck_id, day)))
);

WITH stop AS (
  SELECT
    planned.truck_id, planned.day,
    COUNT(*) AS stops_planned,
    CAST(SUM(CASE WHEN placed.truck_id = planned.truck_id AND NOT placed.delivered_at IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS stops_done,
    CAST(SUM(CASE WHEN placed.truck_id = planned.truck_id AND placed.delivered_ms > placed.promised_ms THEN 1 ELSE 0 END) AS BIGINT) AS late
  FROM lake.planned_stop AS planned
  LEFT JOIN lake.customer_order AS placed ON placed.order_id = planned.order_id
  GROUP BY planned.truck_id, planned.day
)
SELECT
  route.day, route.truck_id,
  COALESCE(stop.stops_planned, 0) AS stops_planned,
  COALESCE(stop.stops_done, 0) AS stops_done,
  route.km_planned,
  driven.distance_km AS km_driven,
  route.km_given_order, route.litres_saved,
  COALESCE(stop.late, 0) AS late
FROM lake.planned_route AS route
LEFT JOIN stop ON stop.truck_id = route.truck_id AND stop.day = route.day
LEFT JOIN marts.truck_day AS driven ON driven.truck_id = route.truck_id AND driven.day = route.day
