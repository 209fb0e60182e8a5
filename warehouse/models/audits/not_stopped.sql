AUDIT (name not_stopped);

-- A quality rule with the action stop is not broken beyond its threshold.
SELECT * FROM @this_model WHERE verdict = 'stop'
