"""The report's page: pictures, charts, tables and sentences of what was measured."""
