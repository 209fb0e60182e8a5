MODEL (
  name base.harsh_event,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, day, order_key, at, kind, peak),
  description 'Harsh braking, acceleration and cornering as the samples report them.',
  audits (unique_combination_of_columns(columns := (truck_id, day, order_key, at, kind, peak)))
);

SELECT DISTINCT truck_id, day, order_key, sampled_at, at, kind, peak, latitude, longitude
FROM lake.harsh_event
WHERE day BETWEEN @start_date AND @end_date
