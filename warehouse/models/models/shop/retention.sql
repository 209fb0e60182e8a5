MODEL (
  name marts.retention,
  kind FULL,
  grain (cohort_month, month_no),
  description 'Of the customers who first ordered in a month, how many ordered again so many months later.',
  column_descriptions (
    cohort_month = 'month of the first order, its first day',
    month_no = 'months after it, 0 is the month itself',
    customers = 'customers of the cohort',
    active = 'of them, who ordered in that month',
    retained = 'active / customers',
    revenue = 'of their orders in that month, in the main currency'
  ),
  audits (
    unique_combination_of_columns(columns := (cohort_month, month_no)),
    forall(criteria := (active <= customers))
  )
);

WITH ordered AS (
  SELECT
    customer_id, revenue,
    CAST(EXTRACT(YEAR FROM day) AS BIGINT) * 12 + CAST(EXTRACT(MONTH FROM day) AS BIGINT) AS month,
    CAST(DATE_TRUNC('month', day) AS DATE) AS month_start
  FROM base.sale
  WHERE NOT customer_id IS NULL AND state <> 'cancelled'
), first_order AS (
  SELECT customer_id, MIN(month) AS month, MIN(month_start) AS cohort_month FROM ordered GROUP BY customer_id
), cohort AS (
  SELECT cohort_month, COUNT(*) AS customers FROM first_order GROUP BY cohort_month
), activity AS (
  SELECT
    first_order.cohort_month, ordered.month - first_order.month AS month_no,
    COUNT(DISTINCT ordered.customer_id) AS active, SUM(ordered.revenue) AS revenue
  FROM ordered
  JOIN first_order ON first_order.customer_id = ordered.customer_id
  GROUP BY first_order.cohort_month, ordered.month - first_order.month
)
SELECT
  activity.cohort_month, activity.month_no, cohort.customers, activity.active,
  CAST(activity.active AS DOUBLE) / cohort.customers AS retained, activity.revenue
FROM activity
JOIN cohort ON cohort.cohort_month = activity.cohort_month
