"""The tables, step by step; expand and contract only, since old and new replicas overlap."""
