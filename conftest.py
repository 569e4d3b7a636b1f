"""Tests run notebooks as the book does: in this Python, and without what the user has set up for others."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "book/build"))
import jobs  # noqa: E402

jobs.settle(ROOT / "_build/home")
