MODEL (
  name base.trip_leg,
  kind FULL,
  tags (tail_leg_no),
  grain (truck_id, leg_no),
  description 'Each leg with its trip: a trip begins with a moving leg and ends before a stop of 5 minutes or a gap of 10.',
  audits (unique_combination_of_columns(columns := (truck_id, leg_no)))
);

WITH counted AS ( -- a moving leg and the legs at rest behind it have one number, its own
  SELECT
    leg.*,
    MAX(CASE WHEN leg.state = 'moving' THEN leg.leg_no ELSE 0 END)
      OVER (PARTITION BY leg.truck_id ORDER BY leg.leg_no ROWS UNBOUNDED PRECEDING) AS moving_no
  FROM base.truck_leg AS leg
  LEFT JOIN base.truck_cut AS cut ON cut.truck_id = leg.truck_id
  WHERE cut.leg_no IS NULL OR leg.leg_no >= cut.leg_no
), rest AS (
  SELECT truck_id, moving_no, MIN(start_ms) AS rest_ms, MAX(gap_s) AS longest_gap_s
  FROM counted
  WHERE state <> 'moving'
  GROUP BY truck_id, moving_no
), moving AS (
  SELECT
    truck_id, moving_no, gap_s, start_ms,
    LAG(moving_no) OVER (PARTITION BY truck_id ORDER BY moving_no) AS before_no
  FROM counted
  WHERE state = 'moving'
), opening AS (
  SELECT
    moving.truck_id, moving.moving_no,
    CASE
      WHEN moving.before_no IS NULL OR moving.gap_s > 600 OR rest.longest_gap_s > 600
        OR moving.start_ms - rest.rest_ms >= 300000 THEN 1
      ELSE 0
    END AS opens
  FROM moving
  LEFT JOIN rest ON rest.truck_id = moving.truck_id AND rest.moving_no = moving.before_no
), trip AS ( -- a trip has the number of its first leg
  SELECT
    truck_id, moving_no, opens,
    MAX(CASE WHEN opens = 1 THEN moving_no END)
      OVER (PARTITION BY truck_id ORDER BY moving_no ROWS UNBOUNDED PRECEDING) AS trip_no,
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
