MODEL (
  name marts.quality_run,
  kind FULL,
  grain (rule),
  description 'The quality rules (warehouse/quality_rules.toml and [[warehouse.quality]]) on the lake build that the marts are made of, one row per rule.',
  column_descriptions (
    run_at = 'when the lake build finished, UTC',
    rule = 'the rule',
    table_name = 'what it looks at',
    rows = 'rows it looked at',
    failed = 'rows that break it',
    threshold = 'share of rows that may break it',
    action = 'what happens over the threshold: warn, or stop (the marts stay as they were)',
    verdict = 'ok, warn or stop'
  ),
  audits (
    unique_combination_of_columns(columns := (rule)),
    not_stopped
  )
);

WITH measure AS (
  SELECT rule, table_name, rows, failed, threshold, action FROM lake.quality_measure
  UNION ALL
  SELECT
    rule.rule, rule.table_name, CAST(COALESCE(SUM(day.rows), 0) AS BIGINT), CAST(COALESCE(SUM(day.failed), 0) AS BIGINT),
    rule.threshold, rule.action
  FROM lake.quality_rule AS rule
  LEFT JOIN base.quality_day AS day ON day.rule = rule.rule
  GROUP BY rule.rule, rule.table_name, rule.threshold, rule.action
  UNION ALL
  SELECT
    'sale_has_a_rate', 'sale', COUNT(*), CAST(COALESCE(SUM(CASE WHEN amount IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT), 0.0, 'warn'
  FROM base.sale_line
)
SELECT
  build.finished_at AS run_at, measure.rule, measure.table_name, measure.rows, measure.failed, measure.threshold, measure.action,
  CASE WHEN measure.failed > measure.threshold * measure.rows THEN measure.action ELSE 'ok' END AS verdict
FROM measure
CROSS JOIN lake.lake_build AS build
