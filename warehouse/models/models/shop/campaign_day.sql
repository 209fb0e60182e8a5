MODEL (
  name marts.campaign_day,
  kind FULL,
  grain (day, source, medium, campaign),
  description 'Sessions and sales by campaign and UTC day. A sale is credited to a session of the same person that began in the 30 days before it.',
  column_descriptions (
    day = 'UTC day: of the start of the session, and of the sale',
    source = 'utm_source, else the host of the referrer, else direct; unattributed: sales without a session',
    medium = 'utm_medium, else referral or none',
    campaign = 'utm_campaign, else none',
    sessions = 'sessions begun',
    new_users = 'users whose first session it is',
    orders = 'sales credited to their last touch; cancelled ones left out',
    revenue_first_touch = 'of the sales whose first touch it is, in the main currency',
    revenue_last_touch = 'of the sales whose last touch it is, in the main currency; a direct session is a last touch only where there is no other'
  ),
  audits (unique_combination_of_columns(columns := (day, source, medium, campaign)))
);

WITH visit AS (
  SELECT
    session_id, started_at, CAST(started_at AS DATE) AS day, user_id,
    COALESCE(customer_id, user_id, session_id) AS person,
    COALESCE(utm_source, referrer_host, 'direct') AS source,
    COALESCE(utm_medium, CASE WHEN utm_source IS NULL AND NOT referrer_host IS NULL THEN 'referral' ELSE 'none' END) AS medium,
    COALESCE(utm_campaign, 'none') AS campaign,
    CASE WHEN user_id IS NULL THEN 0
      WHEN ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY started_at, session_id) = 1 THEN 1
      ELSE 0 END AS is_new
  FROM marts.session
), sale AS (
  SELECT
    sale.sale_id, sale.day, sale.placed_at, sale.revenue,
    COALESCE(session.customer_id, sale.customer_id, session.user_id, sale.user_id, session.session_id, sale.sale_id) AS person
  FROM base.sale AS sale
  LEFT JOIN base.session_event AS event ON event.event_id = sale.event_id
  LEFT JOIN marts.session AS session ON session.session_id = event.session_id
  WHERE sale.state <> 'cancelled'
), touch AS (
  SELECT
    sale.sale_id, visit.source, visit.medium, visit.campaign,
    ROW_NUMBER() OVER (PARTITION BY sale.sale_id ORDER BY visit.started_at, visit.session_id) AS nth,
    ROW_NUMBER() OVER (
      PARTITION BY sale.sale_id
      ORDER BY CASE WHEN visit.source = 'direct' THEN 1 ELSE 0 END, visit.started_at DESC, visit.session_id DESC
    ) AS nth_last
  FROM sale
  JOIN visit ON visit.person = sale.person AND visit.started_at <= sale.placed_at
    AND visit.started_at >= sale.placed_at - INTERVAL '30' DAY
), part AS (
  SELECT day, source, medium, campaign, 1 AS sessions, is_new AS new_users, 0 AS orders, 0.0 AS first_revenue, 0.0 AS last_revenue
  FROM visit
  UNION ALL
  SELECT sale.day, COALESCE(touch.source, 'unattributed'), COALESCE(touch.medium, 'none'), COALESCE(touch.campaign, 'none'),
    0, 0, 0, sale.revenue, 0.0
  FROM sale
  LEFT JOIN touch ON touch.sale_id = sale.sale_id AND touch.nth = 1
  UNION ALL
  SELECT sale.day, COALESCE(touch.source, 'unattributed'), COALESCE(touch.medium, 'none'), COALESCE(touch.campaign, 'none'),
    0, 0, 1, 0.0, sale.revenue
  FROM sale
  LEFT JOIN touch ON touch.sale_id = sale.sale_id AND touch.nth_last = 1
)
SELECT
  day, source, medium, campaign,
  CAST(SUM(sessions) AS BIGINT) AS sessions,
  CAST(SUM(new_users) AS BIGINT) AS new_users,
  CAST(SUM(orders) AS BIGINT) AS orders,
  SUM(first_revenue) AS revenue_first_touch,
  SUM(last_revenue) AS revenue_last_touch
FROM part
GROUP BY day, source, medium, campaign
