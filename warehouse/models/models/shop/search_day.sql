MODEL (
  name marts.search_day,
  kind FULL,
  grain (day, term),
  description 'What was searched for, per UTC day. A term is lower case without blanks around it.',
  column_descriptions (
    day = 'UTC day of the search',
    term = 'what was searched for; unknown where the event does not say',
    searches = 'search events',
    without_results = 'of them, those that found nothing',
    clicked = 'of them, those after which the session viewed, clicked or added an item before its next search'
  ),
  audits (
    unique_combination_of_columns(columns := (day, term)),
    forall(criteria := (without_results <= searches, clicked <= searches))
  )
);

WITH search AS (
  SELECT
    event_id, day,
    COALESCE(NULLIF(LOWER(TRIM(search_term)), ''), 'unknown') AS term,
    CASE WHEN search_results = 0 THEN 1 ELSE 0 END AS empty
  FROM lake.click
  WHERE event_type = 'search'
), numbered AS (
  SELECT
    event_id, event_type, session_id,
    CAST(SUM(CASE WHEN event_type = 'search' THEN 1 ELSE 0 END)
      OVER (PARTITION BY session_id ORDER BY occurred_ms, event_id ROWS UNBOUNDED PRECEDING) AS BIGINT) AS search_no
  FROM base.session_event
  WHERE event_type = 'search' OR (event_type IN ('view', 'click', 'add_to_cart') AND NOT item_id IS NULL)
), followed AS (
  SELECT DISTINCT session_id, search_no FROM numbered WHERE event_type <> 'search' AND search_no > 0
), clicked AS (
  SELECT numbered.event_id
  FROM numbered
  JOIN followed ON followed.session_id = numbered.session_id AND followed.search_no = numbered.search_no
  WHERE numbered.event_type = 'search'
)
SELECT
  search.day, search.term,
  COUNT(*) AS searches,
  CAST(SUM(search.empty) AS BIGINT) AS without_results,
  COUNT(clicked.event_id) AS clicked
FROM search
LEFT JOIN clicked ON clicked.event_id = search.event_id
GROUP BY search.day, search.term
