MODEL (
  name base.zone_sample,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, day, order_key, zone_id),
  description 'Samples whose position lies within a zone, by the even-odd rule over the edges of its rings.',
  audits (unique_combination_of_columns(columns := (truck_id, day, order_key, zone_id)))
);

SELECT sample.truck_id, sample.day, sample.order_key, zone.zone_id
FROM lake.telemetry AS sample
JOIN lake.zone AS zone
  ON sample.gps_latitude BETWEEN zone.south AND zone.north AND sample.gps_longitude BETWEEN zone.west AND zone.east
JOIN lake.zone_edge AS edge
  ON edge.zone_id = zone.zone_id
  AND ((edge.from_latitude <= sample.gps_latitude AND edge.to_latitude > sample.gps_latitude)
    OR (edge.to_latitude <= sample.gps_latitude AND edge.from_latitude > sample.gps_latitude))
  AND sample.gps_longitude < (edge.to_longitude - edge.from_longitude) * (sample.gps_latitude - edge.from_latitude)
    / (edge.to_latitude - edge.from_latitude) + edge.from_longitude
WHERE sample.day BETWEEN @start_date AND @end_date
GROUP BY sample.truck_id, sample.day, sample.order_key, zone.zone_id
HAVING MOD(COUNT(*), 2) = 1
