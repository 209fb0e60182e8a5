MODEL (
  name marts.customer,
  kind FULL,
  grain (customer_id),
  description 'One row per customer who is registered, has ordered, or was named by a visit. Recency counts to the newest sale or visit of all.',
  column_descriptions (
    customer_id = 'the customer',
    first_seen = 'first visit, order or registration, UTC',
    last_seen = 'last visit or order, UTC',
    orders = 'sales, cancelled ones left out',
    revenue = 'in the main currency; cancelled out, returned in',
    segment = 'prospect: no order; new: one order, in the last 30 days; lost: none for over 365; at_risk: none for over 180; champion: 5 or more orders and one in the last 60 days; loyal: the rest with 2 or more; else occasional',
    country = 'of the register, else of the last order',
    loyalty_tier = 'of the register',
    marketing_consent = 'of the register; null is no consent',
    recency_days = 'days since the last order',
    rfm = 'quintiles of recency, frequency and revenue over the last 365 days, 5 is best: 555 to 111',
    first_source = 'utm_source of the first visit that has one',
    returned_share = 'orders that came back / orders, null over 0'
  ),
  audits (
    unique_combination_of_columns(columns := (customer_id)),
    not_null(columns := (customer_id, segment))
  )
);

WITH sold AS (
  SELECT
    customer_id,
    SUM(CASE WHEN state <> 'cancelled' THEN 1 ELSE 0 END) AS orders,
    SUM(revenue) AS revenue,
    MIN(placed_at) AS first_order,
    MAX(placed_at) AS last_order,
    MAX(CASE WHEN state <> 'cancelled' THEN day END) AS last_day,
    SUM(CASE WHEN state = 'returned' THEN 1 ELSE 0 END) AS returned,
    MAX(country) AS country
  FROM base.sale
  WHERE NOT customer_id IS NULL
  GROUP BY customer_id
), visited AS (
  SELECT customer_id, MIN(started_at) AS first_visit, MAX(ended_at) AS last_visit
  FROM marts.session
  WHERE NOT customer_id IS NULL
  GROUP BY customer_id
), sourced AS (
  SELECT
    customer_id, utm_source,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY started_at, session_id) AS nth
  FROM marts.session
  WHERE NOT customer_id IS NULL AND NOT utm_source IS NULL
), registered AS (
  SELECT
    customer_id, country, loyalty_tier, marketing_consent, valid_from,
    MIN(valid_from) OVER (PARTITION BY customer_id) AS first_registered,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY valid_from DESC) AS nth
  FROM lake.customer_version
), subject AS (
  SELECT customer_id FROM sold
  UNION
  SELECT customer_id FROM visited
  UNION
  SELECT customer_id FROM registered
), newest AS (
  SELECT MAX(day) AS day
  FROM (SELECT MAX(day) AS day FROM base.sale UNION ALL SELECT MAX(day) AS day FROM lake.click) AS newest_of
), known AS (
  SELECT
    subject.customer_id,
    LEAST(
      COALESCE(visited.first_visit, sold.first_order, registered.first_registered),
      COALESCE(sold.first_order, registered.first_registered, visited.first_visit),
      COALESCE(registered.first_registered, visited.first_visit, sold.first_order)
    ) AS first_seen,
    GREATEST(COALESCE(visited.last_visit, sold.last_order), COALESCE(sold.last_order, visited.last_visit)) AS last_seen,
    COALESCE(sold.orders, 0) AS orders,
    COALESCE(sold.revenue, 0.0) AS revenue,
    COALESCE(registered.country, sold.country) AS country,
    registered.loyalty_tier, registered.marketing_consent,
    DATE_DIFF('day', sold.last_day, newest.day) AS recency_days,
    sourced.utm_source AS first_source,
    CASE WHEN sold.orders > 0 THEN sold.returned * 1.0 / sold.orders END AS returned_share
  FROM subject
  CROSS JOIN newest
  LEFT JOIN sold ON sold.customer_id = subject.customer_id
  LEFT JOIN visited ON visited.customer_id = subject.customer_id
  LEFT JOIN registered ON registered.customer_id = subject.customer_id AND registered.nth = 1
  LEFT JOIN sourced ON sourced.customer_id = subject.customer_id AND sourced.nth = 1
), scored AS (
  SELECT
    customer_id,
    NTILE(5) OVER (ORDER BY recency_days DESC, customer_id) AS recency,
    NTILE(5) OVER (ORDER BY orders, customer_id) AS frequency,
    NTILE(5) OVER (ORDER BY revenue, customer_id) AS monetary
  FROM known
  WHERE recency_days <= 365
)
SELECT
  known.customer_id, first_seen, last_seen, CAST(orders AS BIGINT) AS orders, revenue,
  CASE
    WHEN orders = 0 THEN 'prospect'
    WHEN recency_days > 365 THEN 'lost'
    WHEN recency_days > 180 THEN 'at_risk'
    WHEN orders >= 5 AND recency_days <= 60 THEN 'champion'
    WHEN orders >= 2 THEN 'loyal'
    WHEN recency_days <= 30 THEN 'new'
    ELSE 'occasional'
  END AS segment,
  country, loyalty_tier, marketing_consent, CAST(recency_days AS BIGINT) AS recency_days,
  CAST(recency * 100 + frequency * 10 + monetary AS VARCHAR) AS rfm,
  first_source, returned_share
FROM known
LEFT JOIN scored ON scored.customer_id = known.customer_id
