"""The page of the report: images, charts, tables and verdicts."""
