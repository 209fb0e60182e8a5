MODEL (
  name marts.page_day,
  kind FULL,
  grain (day, page),
  description 'One row per page and UTC day on which it was viewed.',
  column_descriptions (
    day = 'UTC day of the view',
    page = 'the page',
    views = 'page_view events',
    sessions = 'sessions with a view of it',
    entrances = 'sessions whose first page view it is',
    exits = 'sessions whose last page view it is',
    engaged_s = 'seconds in use, summed over the events that name the page; null where none says',
    scroll_mean = 'mean of how far it was scrolled, %; null where no event says'
  ),
  audits (
    unique_combination_of_columns(columns := (day, page)),
    forall(criteria := (views >= 0, entrances <= sessions, exits <= sessions))
  )
);

WITH event AS (
  SELECT event_id, event_type, day, page, session_id, engaged_seconds, scroll_percent
  FROM lake.click
  WHERE NOT page IS NULL
), part AS (
  SELECT event_id, session_id FROM base.session_event
), viewed AS (
  SELECT
    event.day, event.page,
    CAST(SUM(CASE WHEN event.event_type = 'page_view' THEN 1 ELSE 0 END) AS BIGINT) AS views,
    COUNT(DISTINCT CASE WHEN event.event_type = 'page_view' THEN part.session_id END) AS sessions,
    SUM(event.engaged_seconds) AS engaged_s,
    AVG(event.scroll_percent) AS scroll_mean
  FROM event
  LEFT JOIN part ON part.event_id = event.event_id
  GROUP BY event.day, event.page
), placed AS (
  SELECT
    day, page,
    ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY occurred_ms, event_id) AS nth,
    ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY occurred_ms DESC, event_id DESC) AS nth_last
  FROM base.session_event
  WHERE event_type = 'page_view' AND NOT page IS NULL
), ends AS (
  SELECT
    day, page,
    CAST(SUM(CASE WHEN nth = 1 THEN 1 ELSE 0 END) AS BIGINT) AS entrances,
    CAST(SUM(CASE WHEN nth_last = 1 THEN 1 ELSE 0 END) AS BIGINT) AS exits
  FROM placed
  GROUP BY day, page
)
SELECT
  viewed.day, viewed.page, viewed.views, viewed.sessions,
  COALESCE(ends.entrances, 0) AS entrances,
  COALESCE(ends.exits, 0) AS exits,
  viewed.engaged_s, viewed.scroll_mean
FROM viewed
LEFT JOIN ends ON ends.day = viewed.day AND ends.page = viewed.page
WHERE viewed.views > 0 OR NOT viewed.engaged_s IS NULL OR NOT viewed.scroll_mean IS NULL
