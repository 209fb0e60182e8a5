MODEL (
  name marts.session,
  kind FULL,
  grain (session_id),
  description 'One row per session of at most 30 minutes of silence; bots are left out. Later parts of a session are ID.2, ID.3.',
  column_descriptions (
    session_id = 'the session; later parts after 30 minutes of silence are ID.2, ID.3',
    user_id = 'the browser, first one named, as fact_click.user_id',
    customer_id = 'the customer, also in hindsight',
    started_at = 'first event, UTC; a session belongs to the day of its start',
    ended_at = 'last event, UTC',
    page_views = 'page_view events',
    events = 'all events',
    device_type = 'first one named',
    browser = 'first one named',
    country = 'first one named',
    referrer_host = 'host of the first referrer',
    utm_source = 'first one named',
    viewed = 'view events',
    added = 'add_to_cart events',
    purchased = 'purchase events, one per order_id',
    revenue = 'of its purchases, in the main currency',
    abandoned = 'added less removed is over 0, and nothing was purchased',
    duration_s = 'seconds from first to last event',
    engaged_s = 'seconds that its pages were in use; null where no page says',
    landing_page = 'page of the first page view',
    exit_page = 'page of the last page view',
    is_bot = 'always false: bots are left out',
    user_type = 'new or returning, first one named',
    utm_medium = 'first one named',
    utm_campaign = 'first one named',
    os = 'operating system, first one named'
  ),
  audits (
    unique_combination_of_columns(columns := (session_id)),
    forall(criteria := (ended_at >= started_at, events > 0, page_views + viewed + added <= events))
  )
);

WITH ranked AS ( -- the first value that is named, of each attribute
  SELECT
    *,
    FIRST_VALUE(user_id) OVER (PARTITION BY session_id ORDER BY CASE WHEN user_id IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_user,
    FIRST_VALUE(customer_id) OVER (PARTITION BY session_id ORDER BY CASE WHEN customer_id IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_customer,
    FIRST_VALUE(device_type) OVER (PARTITION BY session_id ORDER BY CASE WHEN device_type IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_device,
    FIRST_VALUE(browser) OVER (PARTITION BY session_id ORDER BY CASE WHEN browser IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_browser,
    FIRST_VALUE(os) OVER (PARTITION BY session_id ORDER BY CASE WHEN os IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_os,
    FIRST_VALUE(country) OVER (PARTITION BY session_id ORDER BY CASE WHEN country IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_country,
    FIRST_VALUE(referrer_host) OVER (PARTITION BY session_id ORDER BY CASE WHEN referrer_host IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_referrer,
    FIRST_VALUE(utm_source) OVER (PARTITION BY session_id ORDER BY CASE WHEN utm_source IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_source,
    FIRST_VALUE(utm_medium) OVER (PARTITION BY session_id ORDER BY CASE WHEN utm_medium IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_medium,
    FIRST_VALUE(utm_campaign) OVER (PARTITION BY session_id ORDER BY CASE WHEN utm_campaign IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_campaign,
    FIRST_VALUE(user_type) OVER (PARTITION BY session_id ORDER BY CASE WHEN user_type IS NULL THEN 1 ELSE 0 END, occurred_ms, event_id) AS first_user_type,
    FIRST_VALUE(page) OVER (PARTITION BY session_id ORDER BY CASE WHEN event_type = 'page_view' THEN 0 ELSE 1 END, occurred_ms, event_id) AS first_page,
    FIRST_VALUE(page) OVER (PARTITION BY session_id ORDER BY CASE WHEN event_type = 'page_view' THEN 0 ELSE 1 END, occurred_ms DESC, event_id DESC) AS last_page
  FROM base.session_event
), summed AS (
  SELECT
    session_id,
    MIN(first_user) AS user_id,
    MIN(first_customer) AS named_customer,
    MIN(occurred_at) AS started_at,
    MAX(occurred_at) AS ended_at,
    CAST(SUM(CASE WHEN event_type = 'page_view' THEN 1 ELSE 0 END) AS BIGINT) AS page_views,
    COUNT(*) AS events,
    MIN(first_device) AS device_type,
    MIN(first_browser) AS browser,
    MIN(first_os) AS os,
    MIN(first_country) AS country,
    MIN(first_referrer) AS referrer_host,
    MIN(first_source) AS utm_source,
    MIN(first_medium) AS utm_medium,
    MIN(first_campaign) AS utm_campaign,
    MIN(first_user_type) AS user_type,
    CAST(SUM(CASE WHEN event_type = 'view' THEN 1 ELSE 0 END) AS BIGINT) AS viewed,
    CAST(SUM(CASE WHEN event_type = 'add_to_cart' THEN 1 ELSE 0 END) AS BIGINT) AS added,
    CAST(SUM(CASE WHEN event_type = 'remove_from_cart' THEN 1 ELSE 0 END) AS BIGINT) AS removed,
    (MAX(occurred_ms) - MIN(occurred_ms)) / 1000.0 AS duration_s,
    SUM(engaged_seconds) AS engaged_s,
    MIN(CASE WHEN event_type = 'page_view' THEN first_page END) AS landing_page,
    MIN(CASE WHEN event_type = 'page_view' THEN last_page END) AS exit_page
  FROM ranked
  GROUP BY session_id
), bought AS (
  SELECT event.session_id, COUNT(*) AS purchased, SUM(sale.revenue) AS revenue, MIN(sale.customer_id) AS customer_id
  FROM base.sale AS sale
  JOIN base.session_event AS event ON event.event_id = sale.event_id
  GROUP BY event.session_id
)
SELECT
  summed.session_id, summed.user_id,
  COALESCE(summed.named_customer, bought.customer_id, identity.customer_id) AS customer_id,
  started_at, ended_at, page_views, events, device_type, browser, country, referrer_host, utm_source, viewed, added,
  COALESCE(bought.purchased, 0) AS purchased,
  COALESCE(bought.revenue, 0.0) AS revenue,
  added - removed > 0 AND bought.purchased IS NULL AS abandoned,
  duration_s, engaged_s, landing_page, exit_page, FALSE AS is_bot, user_type, utm_medium, utm_campaign, os
FROM summed
LEFT JOIN bought ON bought.session_id = summed.session_id
LEFT JOIN base.identity AS identity ON identity.user_id = summed.user_id
