MODEL (
  name marts.dim_item,
  kind FULL,
  grain (item_id),
  description 'Items as dimension of the facts: those of mart item.',
  column_descriptions (
    item_id = 'the item',
    item_name = 'its name',
    category = 'its category',
    price = 'unit price in its currency',
    currency = 'of the price',
    active = 'on sale',
    source = 'catalogue or clicks'
  ),
  audits (unique_combination_of_columns(columns := (item_id)))
);

SELECT item_id, item_name, category, price, currency, active, source FROM marts.item
