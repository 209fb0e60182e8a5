MODEL (
  name marts.rejected_day,
  kind FULL,
  grain (day, source, reason),
  description 'Refused records per UTC day of arrival, door and reason.',
  column_descriptions (
    day = 'UTC day on which they came first',
    source = 'the door: mqtt, http, file, kinesis or lake',
    reason = 'field and reason, without the value that was found',
    rows = 'different records; a repeat is not counted again'
  ),
  audits (unique_combination_of_columns(columns := (day, source, reason)))
);

SELECT day, door AS source, reason_class AS reason, COUNT(*) AS rows
FROM lake.dead_letter
GROUP BY day, door, reason_class
