MODEL (
  name marts.fuel_saving,
  kind FULL,
  grain (truck_id, month),
  description 'What a truck could have saved in a month, in litres and money. The three kinds do not overlap. "Savings" anywhere means this.',
  column_descriptions (
    truck_id = 'the truck',
    month = 'UTC month, its first day',
    litres_idle = 'litres burnt between samples at rest with the engine on; null where the fuel rate is not known',
    litres_over_best_quartile = 'litres burnt otherwise, over those that the best quarter of the trucks of the month needs at most for as many km; 0 for these trucks; null under 100 km or where the litres are not known',
    litres_route = 'litres that stored route plans save against the order given; null without a plan',
    cost = 'the sum of the three by [fleet] fuel_price, in the main currency; null without a price'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, month)),
    forall(criteria := (COALESCE(litres_idle, 0) >= 0, COALESCE(litres_over_best_quartile, 0) >= 0))
  )
);

WITH idle AS (
  SELECT truck_id, CAST(DATE_TRUNC('month', day) AS DATE) AS month, SUM(idle_l) AS idle_l
  FROM base.leg_day
  GROUP BY truck_id, CAST(DATE_TRUNC('month', day) AS DATE)
), driven AS (
  SELECT
    truck_id, CAST(DATE_TRUNC('month', day) AS DATE) AS month,
    SUM(fuel_l) AS fuel_l,
    SUM(CASE WHEN NOT fuel_l IS NULL THEN distance_km ELSE 0.0 END) AS distance_km
  FROM marts.truck_day
  GROUP BY truck_id, CAST(DATE_TRUNC('month', day) AS DATE)
), measured AS (
  SELECT
    driven.truck_id, driven.month, driven.distance_km,
    CASE WHEN NOT driven.fuel_l IS NULL THEN COALESCE(idle.idle_l, 0.0) END AS litres_idle,
    CASE
      WHEN driven.distance_km >= 100 AND driven.fuel_l >= COALESCE(idle.idle_l, 0.0)
        THEN (driven.fuel_l - COALESCE(idle.idle_l, 0.0)) / driven.distance_km
    END AS per_km
  FROM driven
  LEFT JOIN idle ON idle.truck_id = driven.truck_id AND idle.month = driven.month
), ranked AS (
  SELECT
    month, per_km,
    ROW_NUMBER() OVER (PARTITION BY month ORDER BY per_km, truck_id) AS nth,
    COUNT(*) OVER (PARTITION BY month) AS trucks
  FROM measured
  WHERE NOT per_km IS NULL
), best AS (
  SELECT month, MAX(per_km) AS per_km FROM ranked WHERE nth * 4 <= trucks + 3 GROUP BY month
), planned AS (
  SELECT truck_id, CAST(DATE_TRUNC('month', day) AS DATE) AS month, SUM(litres_saved) AS litres_route
  FROM marts.route_day
  GROUP BY truck_id, CAST(DATE_TRUNC('month', day) AS DATE)
), saving AS (
  SELECT
    measured.truck_id, measured.month, measured.litres_idle,
    CASE
      WHEN measured.per_km > best.per_km THEN (measured.per_km - best.per_km) * measured.distance_km
      WHEN NOT measured.per_km IS NULL THEN 0.0
    END AS litres_over_best_quartile,
    planned.litres_route
  FROM measured
  LEFT JOIN best ON best.month = measured.month
  LEFT JOIN planned ON planned.truck_id = measured.truck_id AND planned.month = measured.month
)
SELECT
  saving.truck_id, saving.month, saving.litres_idle, saving.litres_over_best_quartile, saving.litres_route,
  (COALESCE(saving.litres_idle, 0.0) + COALESCE(saving.litres_over_best_quartile, 0.0) + COALESCE(saving.litres_route, 0.0))
    * fleet.fuel_price AS cost
FROM saving
CROSS JOIN lake.fleet_setting AS fleet
