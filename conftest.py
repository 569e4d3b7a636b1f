"""Tests run notebooks as the book does: in this Python, and without what the user has set up for others."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "book/build"))
import jobs  # noqa: E402

jobs.settle(ROOT / "_build/home")


def pytest_collection_modifyitems(items):
    """Begin with what takes longest: the browser's tests, which wait for the quick book, then what starts processes."""
    whole = {item.path for item in items if item.get_closest_marker("whole")}
    items.sort(key=lambda item: (item.path.name != "test_book.py", item.path not in whole))
