MODEL (
  name base.session_event,
  kind FULL,
  grain (event_id),
  description 'Events of a session in time order, split where 30 minutes pass in silence: ID, ID.2, ID.3.',
  audits (unique_combination_of_columns(columns := (event_id)))
);

WITH ordered AS (
  SELECT
    *,
    LAG(occurred_ms) OVER (PARTITION BY session_id ORDER BY occurred_ms, event_id) AS before_ms
  FROM lake.click
  WHERE NOT session_id IS NULL
), numbered AS (
  SELECT
    *,
    1 + CAST(SUM(CASE WHEN occurred_ms - before_ms > 1800000 THEN 1 ELSE 0 END)
      OVER (PARTITION BY session_id ORDER BY occurred_ms, event_id ROWS UNBOUNDED PRECEDING) AS BIGINT) AS part_no
  FROM ordered
)
SELECT
  event_id, event_type, occurred_at, occurred_ms, day, user_id, customer_id, page, item_id, order_id, device_type, browser,
  os, country, referrer_host, utm_source, utm_medium, utm_campaign, user_type, engaged_seconds, scroll_percent,
  CASE WHEN part_no = 1 THEN session_id ELSE session_id || '.' || CAST(part_no AS VARCHAR) END AS session_id,
  session_id AS whole_session_id
FROM numbered
