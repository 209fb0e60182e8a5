MODEL (
  name base.hole_day,
  kind FULL,
  grain (truck_id, day),
  description 'Numbers that did not come, on the day of the next lower number that did.',
  audits (unique_combination_of_columns(columns := (truck_id, day)))
);

WITH island AS (
  SELECT
    *,
    LEAD(first_seq) OVER (PARTITION BY truck_id, stream_id ORDER BY first_seq, day) AS next_seq
  FROM base.seq_island
), hole AS (
  SELECT truck_id, stream_id, day, last_seq + 1 AS first_seq, next_seq - 1 AS last_seq
  FROM island
  WHERE next_seq > last_seq + 1
), explained AS (
  SELECT
    hole.truck_id, hole.stream_id, hole.day, hole.first_seq, hole.last_seq,
    SUM(CASE
      WHEN gap.state IN ('thinned', 'refused')
        THEN LEAST(gap.last_seq, hole.last_seq) - GREATEST(gap.first_seq, hole.first_seq) + 1
      ELSE 0
    END) AS explained,
    SUM(CASE
      WHEN gap.state = 'lost' THEN LEAST(gap.last_seq, hole.last_seq) - GREATEST(gap.first_seq, hole.first_seq) + 1
      ELSE 0
    END) AS lost
  FROM hole
  LEFT JOIN lake.stream_gap AS gap
    ON gap.truck_id = hole.truck_id AND gap.stream_id = hole.stream_id
    AND gap.first_seq <= hole.last_seq AND gap.last_seq >= hole.first_seq
  GROUP BY hole.truck_id, hole.stream_id, hole.day, hole.first_seq, hole.last_seq
)
SELECT
  truck_id, day,
  CAST(SUM(last_seq - first_seq + 1 - explained) AS BIGINT) AS missing,
  CAST(SUM(lost) AS BIGINT) AS lost
FROM explained
GROUP BY truck_id, day
