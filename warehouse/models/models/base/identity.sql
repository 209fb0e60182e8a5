MODEL (
  name base.identity,
  kind FULL,
  grain (user_id),
  description 'The customer that a user turned out to be: the newest one that an event names, also for earlier events.',
  audits (unique_combination_of_columns(columns := (user_id)))
);

WITH ranked AS (
  SELECT
    user_id, customer_id,
    ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY occurred_ms DESC, event_id DESC) AS nth
  FROM lake.click
  WHERE NOT user_id IS NULL AND NOT customer_id IS NULL
)
SELECT user_id, customer_id
FROM ranked
WHERE nth = 1
