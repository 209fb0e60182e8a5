MODEL (
  name marts.completeness_day,
  kind FULL,
  grain (day, truck_id),
  description 'What was expected and what came, per truck and day.',
  column_descriptions (
    day = 'UTC day on which the samples were taken (refused: on which they came)',
    truck_id = 'the truck; unknown where a refused record names none',
    expected = 'numbers of the streams of the truck between its first and last received: received, lost and missing; a missing number belongs to the day of the next lower received one, and thinned or refused numbers are not expected',
    received = 'samples received',
    late = 'received over 10 minutes after they were taken',
    lost = 'numbers that both ends know to be lost',
    refused = 'records in dead letters, each once'
  ),
  audits (
    unique_combination_of_columns(columns := (day, truck_id)),
    forall(criteria := (expected >= received, received >= late))
  )
);

WITH refused AS (
  SELECT COALESCE(truck_id, 'unknown') AS truck_id, day, COUNT(*) AS refused
  FROM lake.dead_letter
  WHERE is_telemetry = 1
  GROUP BY COALESCE(truck_id, 'unknown'), day
), subject AS (
  SELECT truck_id, day FROM base.sample_day
  UNION
  SELECT truck_id, day FROM refused
)
SELECT
  subject.day,
  subject.truck_id,
  COALESCE(samples, 0) + COALESCE(missing, 0) AS expected,
  COALESCE(samples, 0) AS received,
  CAST(COALESCE(late, 0) AS BIGINT) AS late,
  COALESCE(lost, 0) AS lost,
  COALESCE(refused, 0) AS refused
FROM subject
LEFT JOIN base.sample_day AS sample_day ON sample_day.truck_id = subject.truck_id AND sample_day.day = subject.day
LEFT JOIN base.hole_day AS hole ON hole.truck_id = subject.truck_id AND hole.day = subject.day
LEFT JOIN refused ON refused.truck_id = subject.truck_id AND refused.day = subject.day
