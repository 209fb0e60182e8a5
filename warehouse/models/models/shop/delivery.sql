MODEL (
  name marts.delivery,
  kind FULL,
  grain (order_id),
  description 'One row per order: who ordered, which truck has it, and whether it came in time.',
  column_descriptions (
    order_id = 'the order',
    customer_id = 'the customer',
    truck_id = 'of the last loading that took effect',
    placed_at = 'UTC',
    loaded_at = 'UTC',
    delivered_at = 'UTC',
    promised_at = 'UTC',
    late_min = 'minutes from the promise to the delivery, negative when early; null without both',
    truck_health = 'of the truck when it was loaded: ok, or what its version then says of brakes, transmission and faults',
    late_reason = 'of a late delivery, the first that holds: planned late, attempt failed, loaded late (after the promise, or after the planned time), truck fault, on the road',
    planned_at = 'arrival that the newest route plan gives, UTC; null without a plan',
    stop_no = 'its place in that plan, 1, 2, 3 …',
    state = 'placed, packed, loaded, delivered, failed, cancelled or returned'
  ),
  audits (unique_combination_of_columns(columns := (order_id)))
);

WITH faulty AS (
  SELECT truck_id, order_key, COUNT(*) AS faults FROM lake.version_fault GROUP BY truck_id, order_key
), course AS (
  SELECT
    placed.order_id, placed.customer_id, placed.truck_id, placed.placed_at, placed.loaded_at, placed.delivered_at,
    placed.promised_at,
    (placed.delivered_ms - placed.promised_ms) / 60000.0 AS late_min,
    CASE
      WHEN version.truck_id IS NULL THEN NULL
      WHEN COALESCE(faulty.faults, 0) = 0 AND version.brakes_due = 0 AND version.transmission_due = 0 THEN 'ok'
      ELSE 'brakes ' || COALESCE(version.brake_status, 'unknown') || ', transmission '
        || COALESCE(version.transmission_status, 'unknown') || ', faults ' || CAST(COALESCE(faulty.faults, 0) AS VARCHAR)
    END AS truck_health,
    placed.state, placed.failed_at, planned.planned_at, planned.stop_no
  FROM lake.customer_order AS placed
  LEFT JOIN lake.truck_version AS version
    ON version.truck_id = placed.truck_id AND version.effective_start_date <= placed.loaded_at
    AND (version.effective_end_date IS NULL OR placed.loaded_at < version.effective_end_date)
  LEFT JOIN faulty ON faulty.truck_id = version.truck_id AND faulty.order_key = version.order_key
  LEFT JOIN lake.planned_stop AS planned ON planned.order_id = placed.order_id AND planned.is_newest
)
SELECT
  order_id, customer_id, truck_id, placed_at, loaded_at, delivered_at, promised_at, late_min, truck_health, state,
  CASE
    WHEN late_min IS NULL OR late_min <= 0 THEN NULL
    WHEN planned_at > promised_at THEN 'planned late'
    WHEN NOT failed_at IS NULL THEN 'attempt failed'
    WHEN loaded_at > promised_at OR loaded_at > planned_at THEN 'loaded late'
    WHEN truck_health <> 'ok' THEN 'truck fault'
    ELSE 'on the road'
  END AS late_reason,
  planned_at, stop_no
FROM course
