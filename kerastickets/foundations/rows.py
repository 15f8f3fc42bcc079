"""The type of a row: one JSON-ready record, such as a line of `metrics.jsonl` or a trial of a study."""

from typing import Any

#: JSON-ready values by name.
Row = dict[str, Any]
