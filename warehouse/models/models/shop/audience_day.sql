MODEL (
  name marts.audience_day,
  kind FULL,
  grain (day, dimension, value),
  description 'Sessions by what is known of the visitor, per UTC day of their start. Values of one dimension add up to all sessions.',
  column_descriptions (
    day = 'UTC day of the start of the session',
    dimension = 'device_type, browser, os, country, referrer_class or utm_campaign',
    value = 'unknown where none is given; referrer_class is direct, search, social or other site',
    sessions = 'sessions begun',
    users = 'different users of these sessions',
    purchases = 'their purchases',
    revenue = 'of their purchases, in the main currency'
  ),
  audits (unique_combination_of_columns(columns := (day, dimension, value)))
);

WITH visit AS (
  SELECT 'device_type' AS dimension, COALESCE(device_type, 'unknown') AS value, session_id, user_id, started_at, purchased, revenue
  FROM marts.session
  UNION ALL
  SELECT 'browser' AS dimension, COALESCE(browser, 'unknown') AS value, session_id, user_id, started_at, purchased, revenue
  FROM marts.session
  UNION ALL
  SELECT 'os' AS dimension, COALESCE(os, 'unknown') AS value, session_id, user_id, started_at, purchased, revenue
  FROM marts.session
  UNION ALL
  SELECT 'country' AS dimension, COALESCE(country, 'unknown') AS value, session_id, user_id, started_at, purchased, revenue
  FROM marts.session
  UNION ALL
  SELECT 'referrer_class' AS dimension, CASE
    WHEN referrer_host IS NULL THEN 'direct'
    WHEN referrer_host LIKE '%google.%' OR referrer_host LIKE '%bing.%' OR referrer_host LIKE '%duckduckgo.%'
      OR referrer_host LIKE '%search%' OR referrer_host LIKE '%yahoo.%' THEN 'search'
    WHEN referrer_host LIKE '%facebook.%' OR referrer_host LIKE '%instagram.%' OR referrer_host LIKE '%twitter.%'
      OR referrer_host LIKE '%linkedin.%' OR referrer_host LIKE '%reddit.%' OR referrer_host LIKE '%social%' THEN 'social'
    ELSE 'other site'
  END AS value, session_id, user_id, started_at, purchased, revenue
  FROM marts.session
  UNION ALL
  SELECT 'utm_campaign' AS dimension, COALESCE(utm_campaign, 'none') AS value, session_id, user_id, started_at, purchased, revenue
  FROM marts.session
)
SELECT
  CAST(started_at AS DATE) AS day, dimension, value,
  COUNT(*) AS sessions,
  COUNT(DISTINCT user_id) AS users,
  CAST(SUM(purchased) AS BIGINT) AS purchases,
  SUM(revenue) AS revenue
FROM visit
GROUP BY CAST(started_at AS DATE), dimension, value
