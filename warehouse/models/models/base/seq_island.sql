MODEL (
  name base.seq_island,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  grain (truck_id, stream_id, day, first_seq),
  description 'Numbers of a stream that were received on a day without a hole between them.',
  audits (unique_combination_of_columns(columns := (truck_id, stream_id, day, first_seq)))
);

WITH number AS (
  SELECT DISTINCT truck_id, stream_id, day, seq
  FROM lake.telemetry
  WHERE day BETWEEN @start_date AND @end_date AND NOT seq IS NULL
), islanded AS (
  SELECT
    *,
    seq - ROW_NUMBER() OVER (PARTITION BY truck_id, stream_id, day ORDER BY seq) AS island
  FROM number
)
SELECT truck_id, stream_id, day, MIN(seq) AS first_seq, MAX(seq) AS last_seq
FROM islanded
GROUP BY truck_id, stream_id, day, island
