MODEL (
  name marts.traffic_day,
  kind FULL,
  grain (day),
  description 'Traffic and sales of the shop per UTC day.',
  column_descriptions (
    day = 'UTC day',
    page_views = 'page_view events',
    sessions = 'sessions begun',
    users = 'different users with an event',
    new_users = 'users whose first event ever is of the day',
    purchases = 'sales placed, each order once; cancelled ones left out',
    revenue = 'in the main currency; cancelled out, returned in',
    abandonment = 'sessions abandoned / sessions with add_to_cart, null over 0',
    conversion = 'sessions with a purchase / sessions, by their start; null over 0'
  ),
  audits (unique_combination_of_columns(columns := (day)))
);

WITH event AS (
  SELECT
    day AS day,
    SUM(CASE WHEN event_type = 'page_view' THEN 1 ELSE 0 END) AS page_views,
    COUNT(DISTINCT user_id) AS users
  FROM lake.click
  GROUP BY day
), begun AS (
  SELECT
    CAST(started_at AS DATE) AS day,
    COUNT(*) AS sessions,
    SUM(CASE WHEN purchased > 0 THEN 1 ELSE 0 END) AS converted,
    SUM(CASE WHEN abandoned THEN 1 ELSE 0 END) AS abandoned,
    SUM(CASE WHEN added > 0 THEN 1 ELSE 0 END) AS carts
  FROM marts.session
  GROUP BY CAST(started_at AS DATE)
), sold AS (
  SELECT day AS day, COUNT(*) AS purchases, SUM(revenue) AS revenue
  FROM base.sale
  WHERE state <> 'cancelled'
  GROUP BY day
), first_seen AS (
  SELECT day, COUNT(*) AS new_users
  FROM (SELECT user_id, MIN(day) AS day FROM lake.click WHERE NOT user_id IS NULL GROUP BY user_id) AS first_day
  GROUP BY day
), subject AS (
  SELECT day FROM event
  UNION
  SELECT day FROM begun
  UNION
  SELECT day FROM sold
)
SELECT
  subject.day,
  CAST(COALESCE(event.page_views, 0) AS BIGINT) AS page_views,
  COALESCE(begun.sessions, 0) AS sessions,
  COALESCE(event.users, 0) AS users,
  COALESCE(first_seen.new_users, 0) AS new_users,
  COALESCE(sold.purchases, 0) AS purchases,
  COALESCE(sold.revenue, 0.0) AS revenue,
  CASE WHEN begun.carts > 0 THEN begun.abandoned * 1.0 / begun.carts END AS abandonment,
  CASE WHEN begun.sessions > 0 THEN begun.converted * 1.0 / begun.sessions END AS conversion
FROM subject
LEFT JOIN event ON event.day = subject.day
LEFT JOIN begun ON begun.day = subject.day
LEFT JOIN sold ON sold.day = subject.day
LEFT JOIN first_seen ON first_seen.day = subject.day
