MODEL (
  name marts.fact_click,
  kind FULL,
  grain (event_id),
  description 'One row per shop event; bots are left out.',
  column_descriptions (
    event_id = 'the event',
    day = 'UTC day, key of dim_date',
    occurred_at = 'when it happened, UTC',
    event_type = 'page_view, view, click, add_to_cart, remove_from_cart, purchase, search, or a custom name',
    session_id = 'as session.session_id; null without one',
    user_id = 'the browser; users whom the cookie of the server knows to be one browser have the least of their ids',
    customer_id = 'the customer, also in hindsight; key of dim_customer',
    item_id = 'key of dim_item; null where the event has none',
    page = 'the page',
    order_id = 'of a purchase',
    click_count = 'how often'
  ),
  audits (unique_combination_of_columns(columns := (event_id)))
);

SELECT
  click.event_id, click.day, click.occurred_at, click.event_type, event.session_id, click.user_id,
  COALESCE(click.customer_id, identity.customer_id) AS customer_id,
  click.item_id, click.page, click.order_id, click.click_count
FROM lake.click AS click
LEFT JOIN base.session_event AS event ON event.event_id = click.event_id
LEFT JOIN base.identity AS identity ON identity.user_id = click.user_id
