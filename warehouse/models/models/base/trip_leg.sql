MODEL (
  name base.trip_leg,
  kind FULL,
  grain (truck_id, leg_no),
  description 'Each leg with its trip: a trip begins with a moving leg and ends before a stop of 5 minutes or a gap of 10.',
  audits (unique_combination_of_columns(columns := (truck_id, leg_no)))
);

WITH counted AS ( -- a moving leg and the legs at rest behind it have one number
  SELECT
    *,
    CAST(SUM(CASE WHEN state = 'moving' THEN 1 ELSE 0 END)
      OVER (PARTITION BY truck_id ORDER BY leg_no ROWS UNBOUNDED PRECEDING) AS BIGINT) AS moving_no
  FROM base.truck_leg
), rest AS (
  SELECT truck_id, moving_no, MIN(start_ms) AS rest_ms, MAX(gap_s) AS longest_gap_s
  FROM counted
  WHERE state <> 'moving'
  GROUP BY truck_id, moving_no
), opening AS (
  SELECT
    counted.truck_id, counted.moving_no,
    CASE
      WHEN counted.moving_no = 1 OR counted.gap_s > 600 OR rest.longest_gap_s > 600
        OR counted.start_ms - rest.rest_ms >= 300000 THEN 1
      ELSE 0
    END AS opens
  FROM counted
  LEFT JOIN rest ON rest.truck_id = counted.truck_id AND rest.moving_no = counted.moving_no - 1
  WHERE counted.state = 'moving'
), trip AS (
  SELECT
    truck_id, moving_no, opens,
    CAST(SUM(opens) OVER (PARTITION BY truck_id ORDER BY moving_no ROWS UNBOUNDED PRECEDING) AS BIGINT) AS trip_no,
    COALESCE(LEAD(opens) OVER (PARTITION BY truck_id ORDER BY moving_no), 1) AS closes
  FROM opening
)
SELECT
  counted.*,
  trip.trip_no,
  CASE
    WHEN counted.state = 'moving' AND trip.opens = 1 THEN 'first'
    WHEN counted.state = 'moving' OR trip.closes = 0 THEN 'within'
    WHEN counted.gap_s <= 600 AND counted.leg_no = MIN(CASE WHEN counted.state <> 'moving' THEN counted.leg_no END)
      OVER (PARTITION BY counted.truck_id, counted.moving_no) THEN 'end'
    ELSE 'after'
  END AS part
FROM counted
LEFT JOIN trip ON trip.truck_id = counted.truck_id AND trip.moving_no = counted.moving_no
