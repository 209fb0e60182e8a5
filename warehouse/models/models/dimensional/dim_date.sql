MODEL (
  name marts.dim_date,
  kind FULL,
  grain (day),
  description 'One row per UTC day with an event, a sale, a delivery or a sample.',
  column_descriptions (
    day = 'UTC day',
    year = 'year',
    quarter = '1 to 4',
    month = '1 to 12',
    day_of_month = '1 to 31',
    weekday = '1 is Monday, 7 is Sunday',
    is_weekend = 'Saturday or Sunday'
  ),
  audits (unique_combination_of_columns(columns := (day)))
);

WITH known AS (
  SELECT day FROM base.sample_day
  UNION
  SELECT day FROM lake.click
  UNION
  SELECT day FROM base.sale
  UNION
  SELECT CAST(COALESCE(delivered_at, loaded_at) AS DATE) FROM lake.customer_order
  WHERE NOT loaded_at IS NULL OR NOT delivered_at IS NULL
), counted AS (
  SELECT day, MOD(CAST(DATE_DIFF('day', DATE '2000-01-03', day) AS BIGINT), 7) AS offset_days FROM known
), named AS (
  SELECT day, MOD(offset_days + 7, 7) + 1 AS weekday FROM counted
)
SELECT
  day,
  CAST(EXTRACT(YEAR FROM day) AS BIGINT) AS year,
  CAST(EXTRACT(QUARTER FROM day) AS BIGINT) AS quarter,
  CAST(EXTRACT(MONTH FROM day) AS BIGINT) AS month,
  CAST(EXTRACT(DAY FROM day) AS BIGINT) AS day_of_month,
  weekday,
  weekday >= 6 AS is_weekend
FROM named
