MODEL (
  name marts.fact_delivery,
  kind FULL,
  grain (order_id),
  description 'One row per order that was loaded or delivered.',
  column_descriptions (
    order_id = 'the order',
    day = 'UTC day of the delivery, else of the loading; key of dim_date',
    truck_id = 'key of dim_truck',
    customer_id = 'key of dim_customer',
    state = 'of the order',
    loaded_at = 'UTC',
    delivered_at = 'UTC',
    late_min = 'as delivery.late_min'
  ),
  audits (unique_combination_of_columns(columns := (order_id)))
);

SELECT
  order_id, CAST(COALESCE(delivered_at, loaded_at) AS DATE) AS day, truck_id, customer_id, state, loaded_at, delivered_at, late_min
FROM marts.delivery
WHERE NOT loaded_at IS NULL OR NOT delivered_at IS NULL
