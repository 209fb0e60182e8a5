MODEL (
  name marts.funnel_day,
  kind FULL,
  grain (day, step),
  description 'Sessions that came as far as each step, per day of their start; steps count in time order.',
  column_descriptions (
    day = 'UTC day of the start of the session (unattributed: of the event)',
    step = 'page_view, view, add_to_cart, purchase; unattributed: events without a session',
    sessions = 'sessions with this step at or after the step before; for unattributed a number of events'
  ),
  audits (
    unique_combination_of_columns(columns := (day, step)),
    accepted_values(column := step, is_in := ('page_view', 'view', 'add_to_cart', 'purchase', 'unattributed'))
  )
);

WITH start AS (
  SELECT session_id, CAST(started_at AS DATE) AS day FROM marts.session
), page_view AS (
  SELECT session_id, MIN(occurred_ms) AS reached FROM base.session_event WHERE event_type = 'page_view' GROUP BY session_id
), viewed AS (
  SELECT event.session_id, MIN(event.occurred_ms) AS reached
  FROM base.session_event AS event
  JOIN page_view ON page_view.session_id = event.session_id AND event.occurred_ms >= page_view.reached
  WHERE event.event_type = 'view'
  GROUP BY event.session_id
), added AS (
  SELECT event.session_id, MIN(event.occurred_ms) AS reached
  FROM base.session_event AS event
  JOIN viewed ON viewed.session_id = event.session_id AND event.occurred_ms >= viewed.reached
  WHERE event.event_type = 'add_to_cart'
  GROUP BY event.session_id
), purchased AS (
  SELECT event.session_id, MIN(event.occurred_ms) AS reached
  FROM base.session_event AS event
  JOIN added ON added.session_id = event.session_id AND event.occurred_ms >= added.reached
  WHERE event.event_type = 'purchase'
  GROUP BY event.session_id
), reached AS (
  SELECT
    start.day,
    COUNT(page_view.session_id) AS page_view,
    COUNT(viewed.session_id) AS viewed,
    COUNT(added.session_id) AS added,
    COUNT(purchased.session_id) AS purchased
  FROM start
  LEFT JOIN page_view ON page_view.session_id = start.session_id
  LEFT JOIN viewed ON viewed.session_id = start.session_id
  LEFT JOIN added ON added.session_id = start.session_id
  LEFT JOIN purchased ON purchased.session_id = start.session_id
  GROUP BY start.day
), loose AS (
  SELECT day, COUNT(*) AS events FROM lake.click WHERE session_id IS NULL GROUP BY day
), every_day AS (
  SELECT day FROM reached
  UNION
  SELECT day FROM loose
), step AS (
  SELECT every_day.day, 'page_view' AS step, COALESCE(reached.page_view, 0) AS sessions
  FROM every_day LEFT JOIN reached ON reached.day = every_day.day
  UNION ALL
  SELECT every_day.day, 'view', COALESCE(reached.viewed, 0)
  FROM every_day LEFT JOIN reached ON reached.day = every_day.day
  UNION ALL
  SELECT every_day.day, 'add_to_cart', COALESCE(reached.added, 0)
  FROM every_day LEFT JOIN reached ON reached.day = every_day.day
  UNION ALL
  SELECT every_day.day, 'purchase', COALESCE(reached.purchased, 0)
  FROM every_day LEFT JOIN reached ON reached.day = every_day.day
  UNION ALL
  SELECT every_day.day, 'unattributed', COALESCE(loose.events, 0)
  FROM every_day LEFT JOIN loose ON loose.day = every_day.day
)
SELECT day, step, sessions FROM step
