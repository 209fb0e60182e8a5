MODEL (
  name marts.sales_day,
  kind FULL,
  grain (day, category, country),
  description 'Sales per UTC day placed, category and country; cancelled ones left out.',
  column_descriptions (
    day = 'UTC day placed',
    category = 'category of the line, unknown where none is given',
    country = 'of the door, else of the visit; unknown where none is given',
    orders = 'sales with such a line',
    units = 'pieces',
    revenue = 'in the main currency; returned stays in',
    returned = 'of these sales, how many came back'
  ),
  audits (unique_combination_of_columns(columns := (day, category, country)))
);

SELECT
  day,
  COALESCE(category, 'unknown') AS category,
  COALESCE(country, 'unknown') AS country,
  COUNT(DISTINCT sale_id) AS orders,
  SUM(quantity) AS units,
  COALESCE(SUM(amount), 0.0) AS revenue,
  COUNT(DISTINCT CASE WHEN state = 'returned' THEN sale_id END) AS returned
FROM base.sale_line
WHERE state <> 'cancelled'
GROUP BY day, COALESCE(category, 'unknown'), COALESCE(country, 'unknown')
