"""PostgreSQL: tables, lease queue, history chain, encrypted snapshots."""
