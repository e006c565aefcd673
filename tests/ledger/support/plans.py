"""What PostgreSQL does to answer a query, counted; for tests of queries that must not read more than they show."""

from typing import Any


def rows_handled(plan: dict[str, Any]) -> int:
    """Rows that a plan's nodes gave or threw away, all loops together."""
    each = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Join Filter", 0)
    return int(each * plan["Actual Loops"]) + sum(rows_handled(below) for below in plan.get("Plans", ()))
