MODEL (
  name marts.stock_cover,
  kind FULL,
  grain (item_id),
  description 'How long the stock of an active item of the catalogue lasts. Days count to the newest event or sale of all.',
  column_descriptions (
    item_id = 'the item',
    stock = 'pieces in stock',
    units_sold_7d = 'pieces sold in the last 7 days; cancelled ones left out',
    days_left = 'stock / mean pieces sold per day, days; null where none was sold'
  ),
  audits (unique_combination_of_columns(columns := (item_id)))
);

WITH newest AS (
  SELECT MAX(day) AS day
  FROM (SELECT MAX(day) AS day FROM base.sale UNION ALL SELECT MAX(day) AS day FROM lake.click) AS newest_of
), sold AS (
  SELECT line.item_id, SUM(line.quantity) AS units
  FROM base.sale_line AS line
  CROSS JOIN newest
  WHERE line.state <> 'cancelled' AND line.day > newest.day - INTERVAL '7' DAY
  GROUP BY line.item_id
)
SELECT
  item.item_id, item.stock,
  COALESCE(sold.units, 0.0) AS units_sold_7d,
  CASE WHEN sold.units > 0 THEN item.stock * 7.0 / sold.units END AS days_left
FROM marts.item AS item
LEFT JOIN sold ON sold.item_id = item.item_id
WHERE item.source = 'catalogue' AND COALESCE(item.active, TRUE) AND NOT item.stock IS NULL
