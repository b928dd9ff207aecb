"""Rows of the matrix: a board that NVIDIA makes for one customer, and where that was read."""

from __future__ import annotations

ROWS = {
    "sources": [
        {
            "id": "example-boards",
            "title": "Purchase list of the example laboratory",
            "place": "https://example.org/boards",
            "date": "2026-11-01",
        }
    ],
    "gpus": [
        {
            "name": "NVIDIA Example 100",
            "capability": "9.0",
            "kind": "datacenter",
            "source": ["example-boards"],
            "checked": "2026-11-01",
        }
    ],
}
