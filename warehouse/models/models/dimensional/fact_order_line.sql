MODEL (
  name marts.fact_order_line,
  kind FULL,
  grain (sale_id, line_no),
  description 'One row per line of each sale: of the order where there is one, else of its first purchase event.',
  column_descriptions (
    sale_id = 'order_id, else the event_id of the purchase',
    line_no = '1, 2, 3 …',
    day = 'UTC day placed, key of dim_date',
    placed_at = 'UTC',
    state = 'of the order; placed where there is only the event',
    customer_id = 'key of dim_customer',
    item_id = 'key of dim_item',
    country = 'of the door, else of the visit',
    quantity = 'pieces',
    amount = 'in the main currency; 0 when cancelled, null without a rate'
  ),
  audits (unique_combination_of_columns(columns := (sale_id, line_no)))
);

SELECT sale_id, line_no, day, placed_at, state, customer_id, item_id, country, quantity, amount FROM base.sale_line
