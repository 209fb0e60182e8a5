MODEL (
  name marts.zone_visit,
  kind FULL,
  grain (truck_id, zone_id, entered_at),
  description 'One row per stay of a truck within a zone of zones.geojson, over its samples that have a position.',
  column_descriptions (
    truck_id = 'the truck',
    zone_id = 'the id or name of the zone',
    entered_at = 'first sample within the zone, UTC',
    left_at = 'first sample outside after it, UTC; null while the truck was last seen within',
    late_data = 'a sample of it was received over 10 minutes after it was taken'
  ),
  audits (
    unique_combination_of_columns(columns := (truck_id, zone_id, entered_at)),
    forall(criteria := (COALESCE(left_at, entered_at) >= entered_at))
  )
);

WITH positioned AS (
  SELECT
    truck_id, day, first_positioned_at,
    ROW_NUMBER() OVER (PARTITION BY truck_id ORDER BY day) AS day_no,
    LEAD(first_positioned_at) OVER (PARTITION BY truck_id ORDER BY day) AS next_day_at
  FROM base.sample_day
  WHERE NOT first_positioned_at IS NULL
), presence AS (
  SELECT presence.*, positioned.day_no, positioned.next_day_at
  FROM base.zone_presence AS presence
  JOIN positioned ON positioned.truck_id = presence.truck_id AND positioned.day = presence.day
), ordered AS (
  SELECT
    *,
    LAG(to_the_end) OVER (PARTITION BY truck_id, zone_id ORDER BY day, first_nth) AS before_to_the_end,
    LAG(day_no) OVER (PARTITION BY truck_id, zone_id ORDER BY day, first_nth) AS before_day_no
  FROM presence
), numbered AS ( -- midnight does not end a stay
  SELECT
    *,
    CAST(SUM(CASE WHEN first_nth = 1 AND before_to_the_end = 1 AND before_day_no = day_no - 1 THEN 0 ELSE 1 END)
      OVER (PARTITION BY truck_id, zone_id ORDER BY day, first_nth ROWS UNBOUNDED PRECEDING) AS BIGINT) AS visit_no
  FROM ordered
), ending AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY truck_id, zone_id, visit_no ORDER BY day DESC, first_nth DESC) AS nth_of_visit
  FROM numbered
)
SELECT
  truck_id, zone_id,
  MIN(entered_at) AS entered_at,
  MAX(CASE WHEN nth_of_visit = 1 THEN CASE WHEN to_the_end = 1 THEN next_day_at ELSE left_at END END) AS left_at,
  MAX(late) = 1 AS late_data
FROM ending
GROUP BY truck_id, zone_id, visit_no
