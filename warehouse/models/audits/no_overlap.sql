AUDIT (name no_overlap);

-- A version ends exactly where the next one begins, and only the last one is current.
SELECT *
FROM (
  SELECT
    *,
    LEAD(effective_start_date) OVER (PARTITION BY truck_id ORDER BY order_key) AS next_start
  FROM @this_model
) AS version
WHERE (next_start IS NULL AND NOT (effective_end_date IS NULL AND is_current))
  OR (NOT next_start IS NULL AND (is_current OR effective_end_date IS NULL OR effective_end_date <> next_start))
