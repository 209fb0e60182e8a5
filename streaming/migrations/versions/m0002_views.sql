-- Statements end with two semicolons, since a function's body has single ones. Hours and days are UTC.

-- As marts.session, of sessions that are over; later parts of a session are ID.2, ID.3.
CREATE VIEW live.sessions AS
WITH part AS (
  SELECT *, row_number() OVER (PARTITION BY session_id ORDER BY started_at) AS part_no FROM live.session
), sold AS (
  SELECT sale.sale_id, sale.session_id, sale.at, sum((line->>'amount')::float8 * rate.rate) AS revenue
  FROM live.sale
  CROSS JOIN LATERAL jsonb_array_elements(sale.lines) AS line
  LEFT JOIN live.currency_rate AS rate
    ON rate.currency = coalesce(sale.currency, (SELECT currency FROM live.currency_rate WHERE is_main))
  GROUP BY sale.sale_id, sale.session_id, sale.at
), bought AS (
  SELECT part.session_id, part.started_at, count(*) AS purchased, coalesce(sum(sold.revenue), 0) AS revenue
  FROM part JOIN sold ON sold.session_id = part.session_id AND sold.at BETWEEN part.started_at AND part.ended_at
  GROUP BY part.session_id, part.started_at
)
SELECT
  CASE WHEN part_no = 1 THEN part.session_id ELSE part.session_id || '.' || part_no END AS session_id,
  part.started_at AT TIME ZONE 'UTC' AS started_at, ended_at AT TIME ZONE 'UTC' AS ended_at,
  events, page_views, viewed, added,
  coalesce(bought.purchased, 0) AS purchased, coalesce(bought.revenue, 0) AS revenue,
  added - removed > 0 AND bought.purchased IS NULL AS abandoned
FROM part LEFT JOIN bought ON bought.session_id = part.session_id AND bought.started_at = part.started_at
;;
-- As marts.traffic_hour, with the share of abandoned carts.
CREATE VIEW live.traffic AS
WITH begun AS (
  SELECT date_trunc('hour', started_at) AS hour, count(*) AS sessions,
    count(*) FILTER (WHERE purchased > 0) AS converted, count(*) FILTER (WHERE abandoned) AS abandoned,
    count(*) FILTER (WHERE added > 0) AS carts
  FROM live.sessions GROUP BY 1
), sold AS (
  SELECT date_trunc('hour', at AT TIME ZONE 'UTC') AS hour, count(DISTINCT sale_id) AS purchases,
    coalesce(sum((line->>'amount')::float8 * rate.rate), 0) AS revenue
  FROM live.sale
  CROSS JOIN LATERAL jsonb_array_elements(sale.lines) AS line
  LEFT JOIN live.currency_rate AS rate
    ON rate.currency = coalesce(sale.currency, (SELECT currency FROM live.currency_rate WHERE is_main))
  GROUP BY 1
), event AS (
  SELECT hour AT TIME ZONE 'UTC' AS hour, page_views, users FROM live.traffic_hour
)
SELECT
  hour, coalesce(page_views, 0) AS page_views, coalesce(sessions, 0) AS sessions, coalesce(users, 0) AS users,
  coalesce(purchases, 0) AS purchases, coalesce(revenue, 0) AS revenue,
  CASE WHEN sessions > 0 THEN converted * 1.0::float8 / sessions END AS conversion,
  CASE WHEN carts > 0 THEN abandoned * 1.0::float8 / carts END AS abandonment
FROM event FULL JOIN begun USING (hour) FULL JOIN sold USING (hour)
;;
-- As marts.product_day, less names and shares.
CREATE VIEW live.products AS
WITH seen AS (
  SELECT (hour AT TIME ZONE 'UTC')::date AS day, item_id,
    sum(views)::bigint AS views, sum(clicks)::bigint AS clicks, sum(added)::bigint AS added
  FROM live.product_hour GROUP BY 1, 2
), bought AS (
  SELECT (at AT TIME ZONE 'UTC')::date AS day, line->>'item_id' AS item_id, count(DISTINCT sale_id) AS purchased,
    coalesce(sum((line->>'amount')::float8 * rate.rate), 0) AS revenue
  FROM live.sale
  CROSS JOIN LATERAL jsonb_array_elements(sale.lines) AS line
  LEFT JOIN live.currency_rate AS rate
    ON rate.currency = coalesce(sale.currency, (SELECT currency FROM live.currency_rate WHERE is_main))
  WHERE line->>'item_id' IS NOT NULL
  GROUP BY 1, 2
)
SELECT day, item_id, coalesce(views, 0) AS views, coalesce(clicks, 0) AS clicks, coalesce(added, 0) AS added,
  coalesce(purchased, 0) AS purchased, coalesce(revenue, 0) AS revenue
FROM seen FULL JOIN bought USING (day, item_id)
;;
-- Data quality: what came, by hour of arrival, and what of it was refused.
CREATE VIEW live.quality AS
SELECT date_trunc('hour', received_at AT TIME ZONE 'UTC') AS hour, topic, count(*) AS rows,
  count(DISTINCT identity) AS different, count(*) FILTER (WHERE kind = 'refused') AS refused
FROM live.raw_event GROUP BY 1, 2
;;
-- The marts up to the last hour that the newest build knows whole, the live tables from there on.
CREATE FUNCTION live.traffic_joined() RETURNS SETOF live.traffic STABLE LANGUAGE plpgsql AS $$
BEGIN
  IF to_regclass('marts.traffic_hour') IS NULL THEN
    RETURN QUERY SELECT * FROM live.traffic;
    RETURN;
  END IF;
  RETURN QUERY EXECUTE '
    WITH known AS (SELECT coalesce(max(hour), ''-infinity''::timestamp) AS hour FROM marts.traffic_hour)
    SELECT mart.hour, mart.page_views::bigint, mart.sessions::bigint, mart.users::bigint, mart.purchases::bigint,
      mart.revenue::float8, mart.conversion::float8, NULL::float8
    FROM marts.traffic_hour AS mart, known WHERE mart.hour < known.hour
    UNION ALL
    SELECT now.* FROM live.traffic AS now, known WHERE now.hour >= known.hour';
END $$
;;
CREATE VIEW live.traffic_now AS SELECT * FROM live.traffic_joined()
