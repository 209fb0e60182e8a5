MODEL (
  name base.sale_line,
  kind FULL,
  grain (sale_id, line_no),
  description 'Lines of each sale once: those of the order where there is one, else of its first purchase event. amount is in the main currency, null without a rate.',
  audits (unique_combination_of_columns(columns := (sale_id, line_no)))
);

WITH purchase AS (
  SELECT
    event_id, order_id, session_id, user_id, customer_id, country, currency, occurred_at, day,
    COALESCE(order_id, event_id) AS sale_id,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(order_id, event_id) ORDER BY occurred_ms, event_id) AS nth
  FROM lake.click
  WHERE event_type = 'purchase'
), line AS (
  SELECT
    placed.order_id AS sale_id, line.line_no, placed.placed_at, placed.day, placed.state, placed.currency,
    COALESCE(placed.customer_id, purchase.customer_id) AS customer_id, purchase.user_id,
    COALESCE(purchase.session_id, placed.session_id) AS whole_session_id, purchase.event_id,
    COALESCE(placed.country, purchase.country) AS country,
    line.item_id, line.item_name, line.category, line.price, line.quantity
  FROM lake.customer_order AS placed
  JOIN lake.customer_order_line AS line ON line.order_id = placed.order_id
  LEFT JOIN purchase ON purchase.sale_id = placed.order_id AND purchase.nth = 1
  UNION ALL
  SELECT
    purchase.sale_id, line.line_no, purchase.occurred_at, purchase.day, 'placed', purchase.currency,
    purchase.customer_id, purchase.user_id, purchase.session_id, purchase.event_id, purchase.country,
    line.item_id, line.item_name, line.category, line.price, line.quantity
  FROM purchase
  JOIN lake.click_line AS line ON line.event_id = purchase.event_id
  LEFT JOIN lake.customer_order AS placed ON placed.order_id = purchase.sale_id
  WHERE purchase.nth = 1 AND placed.order_id IS NULL
)
SELECT
  line.sale_id, line.line_no, line.placed_at, line.day, line.state, line.user_id, line.whole_session_id, line.event_id,
  COALESCE(line.customer_id, identity.customer_id) AS customer_id,
  line.country, line.item_id, line.item_name, line.category, line.quantity,
  CASE
    WHEN line.state = 'cancelled' THEN 0.0
    ELSE line.price * line.quantity * currency_rate.rate
  END AS amount
FROM line
CROSS JOIN lake.main_currency AS main_currency
LEFT JOIN lake.currency_rate AS currency_rate ON currency_rate.currency = COALESCE(line.currency, main_currency.currency)
LEFT JOIN base.identity AS identity ON identity.user_id = line.user_id
