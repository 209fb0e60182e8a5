MODEL (
  name marts.traffic_hour,
  kind FULL,
  grain (hour),
  description 'Traffic and sales of the shop per UTC hour.',
  column_descriptions (
    hour = 'UTC hour',
    page_views = 'page_view events',
    sessions = 'sessions begun',
    users = 'different users with an event',

    purchases = 'sales placed, each order once; cancelled ones left out',
    revenue = 'in the main currency; cancelled out, returned in',

    conversion = 'sessions with a purchase / sessions, by their start; null over 0'
  ),
  audits (unique_combination_of_columns(columns := (hour)))
);

WITH event AS (
  SELECT
    DATE_TRUNC('hour', occurred_at) AS hour,
    SUM(CASE WHEN event_type = 'page_view' THEN 1 ELSE 0 END) AS page_views,
    COUNT(DISTINCT user_id) AS users
  FROM lake.click
  GROUP BY DATE_TRUNC('hour', occurred_at)
), begun AS (
  SELECT
    DATE_TRUNC('hour', started_at) AS hour,
    COUNT(*) AS sessions,
    SUM(CASE WHEN purchased > 0 THEN 1 ELSE 0 END) AS converted,
    SUM(CASE WHEN abandoned THEN 1 ELSE 0 END) AS abandoned,
    SUM(CASE WHEN added > 0 THEN 1 ELSE 0 END) AS carts
  FROM marts.session
  GROUP BY DATE_TRUNC('hour', started_at)
), sold AS (
  SELECT DATE_TRUNC('hour', placed_at) AS hour, COUNT(*) AS purchases, SUM(revenue) AS revenue
  FROM base.sale
  WHERE state <> 'cancelled'
  GROUP BY DATE_TRUNC('hour', placed_at)
), subject AS (
  SELECT hour FROM event
  UNION
  SELECT hour FROM begun
  UNION
  SELECT hour FROM sold
)
SELECT
  subject.hour,
  CAST(COALESCE(event.page_views, 0) AS BIGINT) AS page_views,
  COALESCE(begun.sessions, 0) AS sessions,
  COALESCE(event.users, 0) AS users,

  COALESCE(sold.purchases, 0) AS purchases,
  COALESCE(sold.revenue, 0.0) AS revenue,

  CASE WHEN begun.sessions > 0 THEN begun.converted * 1.0 / begun.sessions END AS conversion
FROM subject
LEFT JOIN event ON event.hour = subject.hour
LEFT JOIN begun ON begun.hour = subject.hour
LEFT JOIN sold ON sold.hour = subject.hour

