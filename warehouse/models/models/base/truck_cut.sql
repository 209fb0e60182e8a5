MODEL (
  name base.truck_cut,
  kind INCREMENTAL_BY_UNIQUE_KEY (unique_key truck_id),
  tags (tail_all),
  grain (truck_id),
  description 'Before what, in a build of days from a first one on, the rows of a truck stay as they are: the last trip that surely began before that day and before the last fuel level that held for 10 minutes with the engine on. A truck without a row is made anew. Empty where all days are built.',
  audits (unique_combination_of_columns(columns := (truck_id)))
);

WITH settled AS ( -- a level with the engine on is no event, and ends the one before it
  SELECT
    truck_id, start_at AS level_from, end_ms, end_ms - start_ms AS lasted_ms,
    ROW_NUMBER() OVER (PARTITION BY truck_id ORDER BY start_ms DESC, segment_no DESC) AS nth
  FROM base.level_segment
  WHERE day < @start_date AND engine_off = 0 AND samples >= 3 AND end_ms - start_ms >= 600000
), levelled AS (
  SELECT DISTINCT truck_id FROM base.level_segment WHERE day < @start_date
), opened AS (
  SELECT
    leg.truck_id, leg.leg_no, leg.start_at,
    ROW_NUMBER() OVER (PARTITION BY leg.truck_id ORDER BY leg.leg_no DESC) AS nth
  FROM base.truck_leg AS leg
  LEFT JOIN levelled ON levelled.truck_id = leg.truck_id
  LEFT JOIN settled ON settled.truck_id = leg.truck_id AND settled.nth = 1
  WHERE leg.day < @start_date AND leg.surely_opens = 1
    AND (levelled.truck_id IS NULL OR leg.start_ms <= settled.end_ms)
)
SELECT
  opened.truck_id, opened.leg_no, opened.start_at AS trip_start, opened.start_at AS stop_start, settled.level_from,
  settled.level_from + INTERVAL '1' MINUTE AS at
FROM opened
LEFT JOIN settled ON settled.truck_id = opened.truck_id AND settled.nth = 1
WHERE opened.nth = 1
