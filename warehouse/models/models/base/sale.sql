MODEL (
  name base.sale,
  kind FULL,
  grain (sale_id),
  description 'Each sale once, with its revenue: cancelled is zero, returned stays in.',
  audits (unique_combination_of_columns(columns := (sale_id)))
);

SELECT
  sale_id,
  MIN(placed_at) AS placed_at,
  MIN(day) AS day,
  MIN(state) AS state,
  MIN(customer_id) AS customer_id,
  MIN(user_id) AS user_id,
  MIN(whole_session_id) AS whole_session_id,
  MIN(event_id) AS event_id,
  MIN(country) AS country,
  SUM(quantity) AS units,
  COALESCE(SUM(amount), 0.0) AS revenue,
  SUM(CASE WHEN amount IS NULL THEN 1 ELSE 0 END) AS unrated_lines
FROM base.sale_line
GROUP BY sale_id
