MODEL (
  name marts.dim_customer,
  kind FULL,
  grain (customer_id),
  description 'Customers as dimension of the facts: those of mart customer, without what can be summed.',
  column_descriptions (
    customer_id = 'the customer',
    first_seen = 'first visit, order or registration, UTC',
    segment = 'as customer.segment',
    country = 'of the register, else of the last order',
    loyalty_tier = 'of the register',
    marketing_consent = 'of the register; null is no consent',
    first_source = 'utm_source of the first visit that has one'
  ),
  audits (unique_combination_of_columns(columns := (customer_id)))
);

SELECT customer_id, first_seen, segment, country, loyalty_tier, marketing_consent, first_source FROM marts.customer
