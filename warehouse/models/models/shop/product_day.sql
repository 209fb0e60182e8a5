MODEL (
  name marts.product_day,
  kind FULL,
  grain (day, item_id),
  description 'One row per item and UTC day with an event or a sale of it.',
  column_descriptions (
    day = 'UTC day of the event; for sales the day placed',
    item_id = 'the item',
    item_name = 'the last name used on the day',
    category = 'the last category used on the day',
    views = 'sum of click_count of view events',
    clicks = 'sum of click_count of click events',
    added = 'add_to_cart events with the item',
    purchased = 'sales with the item, each order once; cancelled ones left out',
    revenue = 'in the main currency; cancelled out, returned in',
    view_to_cart = 'added / views, null over 0',
    cart_to_purchase = 'purchased / added, null over 0'
  ),
  audits (unique_combination_of_columns(columns := (day, item_id)))
);

WITH named AS (
  SELECT day, item_id, item_name, category, occurred_ms AS moment, event_id AS tie FROM lake.click WHERE NOT item_id IS NULL
  UNION ALL
  SELECT day, item_id, item_name, category, 0 AS moment, sale_id AS tie FROM base.sale_line WHERE NOT item_id IS NULL
), name AS (
  SELECT DISTINCT
    day, item_id,
    FIRST_VALUE(item_name) OVER (PARTITION BY day, item_id ORDER BY CASE WHEN item_name IS NULL THEN 1 ELSE 0 END, moment DESC, tie DESC, item_name) AS item_name,
    FIRST_VALUE(category) OVER (PARTITION BY day, item_id ORDER BY CASE WHEN category IS NULL THEN 1 ELSE 0 END, moment DESC, tie DESC, category) AS category
  FROM named
), seen AS (
  SELECT
    day, item_id,
    SUM(CASE WHEN event_type = 'view' THEN click_count ELSE 0 END) AS views,
    SUM(CASE WHEN event_type = 'click' THEN click_count ELSE 0 END) AS clicks
  FROM lake.click
  WHERE NOT item_id IS NULL
  GROUP BY day, item_id
), added AS (
  SELECT click.day, line.item_id, COUNT(DISTINCT click.event_id) AS added
  FROM lake.click AS click
  JOIN lake.click_line AS line ON line.event_id = click.event_id
  WHERE click.event_type = 'add_to_cart' AND NOT line.item_id IS NULL
  GROUP BY click.day, line.item_id
), bought AS (
  SELECT
    day, item_id,
    COUNT(DISTINCT CASE WHEN state <> 'cancelled' THEN sale_id END) AS purchased,
    COALESCE(SUM(amount), 0.0) AS revenue
  FROM base.sale_line
  WHERE NOT item_id IS NULL
  GROUP BY day, item_id
), subject AS (
  SELECT day, item_id FROM name
  UNION
  SELECT day, item_id FROM added
)
SELECT
  subject.day, subject.item_id, name.item_name, name.category,
  CAST(COALESCE(seen.views, 0) AS BIGINT) AS views,
  CAST(COALESCE(seen.clicks, 0) AS BIGINT) AS clicks,
  COALESCE(added.added, 0) AS added,
  COALESCE(bought.purchased, 0) AS purchased,
  COALESCE(bought.revenue, 0.0) AS revenue,
  CASE WHEN seen.views > 0 THEN COALESCE(added.added, 0) * 1.0 / seen.views END AS view_to_cart,
  CASE WHEN added.added > 0 THEN COALESCE(bought.purchased, 0) * 1.0 / added.added END AS cart_to_purchase
FROM subject
LEFT JOIN name ON name.day = subject.day AND name.item_id = subject.item_id
LEFT JOIN seen ON seen.day = subject.day AND seen.item_id = subject.item_id
LEFT JOIN added ON added.day = subject.day AND added.item_id = subject.item_id
LEFT JOIN bought ON bought.day = subject.day AND bought.item_id = subject.item_id
