MODEL (
  name marts.recommendation_day,
  kind FULL,
  grain (day, model_version, placement),
  description 'What recommendations led to, per UTC day on which they were shown or clicked.',
  column_descriptions (
    day = 'UTC day of the event; for sales that of the click',
    model_version = 'the model that made the list; popularity is the comparison group',
    placement = 'where it was shown: product, cart, home …; unknown where the event does not say',
    shown = 'recommendation_view events',
    clicked = 'events other than that, and other than purchases, that name a recommendation',
    bought = 'sales of a clicked item in the same session after the click, each once',
    revenue = 'of these items, in the main currency'
  ),
  audits (unique_combination_of_columns(columns := (day, model_version, placement)))
);

WITH event AS (
  SELECT
    event_id, event_type, day, occurred_ms, session_id, item_id,
    COALESCE(model_version, 'unknown') AS model_version,
    COALESCE(placement, 'unknown') AS placement
  FROM lake.click
  WHERE NOT recommendation_id IS NULL AND event_type <> 'purchase'
), hit AS (
  SELECT
    event.day, event.model_version, event.placement, line.sale_id, line.line_no, line.amount,
    ROW_NUMBER() OVER (PARTITION BY line.sale_id, line.line_no ORDER BY event.occurred_ms DESC, event.event_id DESC) AS nth
  FROM event
  JOIN base.sale_line AS line ON line.whole_session_id = event.session_id AND line.item_id = event.item_id
  JOIN lake.click AS purchase ON purchase.event_id = line.event_id AND purchase.occurred_ms >= event.occurred_ms
  WHERE event.event_type <> 'recommendation_view' AND line.state <> 'cancelled'
), part AS (
  SELECT
    day, model_version, placement,
    CASE WHEN event_type = 'recommendation_view' THEN 1 ELSE 0 END AS shown,
    CASE WHEN event_type = 'recommendation_view' THEN 0 ELSE 1 END AS clicked,
    NULL AS sale_id, 0.0 AS revenue
  FROM event
  UNION ALL
  SELECT day, model_version, placement, 0, 0, sale_id, COALESCE(amount, 0.0) FROM hit WHERE nth = 1
)
SELECT
  day, model_version, placement,
  CAST(SUM(shown) AS BIGINT) AS shown,
  CAST(SUM(clicked) AS BIGINT) AS clicked,
  COUNT(DISTINCT sale_id) AS bought,
  SUM(revenue) AS revenue
FROM part
GROUP BY day, model_version, placement
