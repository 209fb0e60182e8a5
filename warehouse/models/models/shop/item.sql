MODEL (
  name marts.item,
  kind FULL,
  grain (item_id),
  description 'One row per item: of the catalogue as it is now, else as the newest event names it.',
  column_descriptions (
    item_id = 'the item',
    item_name = 'its name',
    category = 'its category',
    price = 'unit price in its currency; null where the catalogue does not say',
    currency = 'of the price',
    active = 'on sale; null where the catalogue does not say',
    stock = 'pieces in stock; null where the catalogue does not say',
    source = 'catalogue, or clicks: seen in events or sales only'
  ),
  audits (
    unique_combination_of_columns(columns := (item_id)),
    accepted_values(column := source, is_in := ('catalogue', 'clicks'))
  )
);

WITH listed AS (
  SELECT * FROM lake.item_version WHERE is_current
), seen AS (
  SELECT
    item_id, item_name, category,
    ROW_NUMBER() OVER (
      PARTITION BY item_id
      ORDER BY CASE WHEN item_name IS NULL THEN 1 ELSE 0 END, CASE WHEN category IS NULL THEN 1 ELSE 0 END, day DESC
    ) AS nth
  FROM marts.product_day
)
SELECT
  COALESCE(listed.item_id, seen.item_id) AS item_id,
  COALESCE(listed.item_name, seen.item_name) AS item_name,
  COALESCE(listed.category, seen.category) AS category,
  listed.price, listed.currency, listed.active, listed.stock,
  CASE WHEN listed.item_id IS NULL THEN 'clicks' ELSE 'catalogue' END AS source
FROM listed
FULL OUTER JOIN (SELECT * FROM seen WHERE nth = 1) AS seen ON seen.item_id = listed.item_id
