MODEL (
  name marts.page_flow,
  kind FULL,
  grain (day, from_page, to_page),
  description 'Sessions that went from one page to another next, per day of their start.',
  column_descriptions (
    day = 'UTC day of the start of the session',
    from_page = 'a page viewed',
    to_page = 'the other page viewed next in the session',
    sessions = 'sessions with this step, each once'
  ),
  audits (unique_combination_of_columns(columns := (day, from_page, to_page)))
);

WITH step AS (
  SELECT
    session_id, page AS from_page,
    LEAD(page) OVER (PARTITION BY session_id ORDER BY occurred_ms, event_id) AS to_page
  FROM base.session_event
  WHERE event_type = 'page_view' AND NOT page IS NULL
)
SELECT CAST(session.started_at AS DATE) AS day, step.from_page, step.to_page, COUNT(DISTINCT step.session_id) AS sessions
FROM step
JOIN marts.session AS session ON session.session_id = step.session_id
WHERE step.from_page <> step.to_page
GROUP BY CAST(session.started_at AS DATE), step.from_page, step.to_page
