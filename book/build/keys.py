"""What a job's identity is made of: hashes of contents, for the Snakefile and for sweep.smk."""

import hashlib
import json
from pathlib import Path

import jupytext

LOCK = Path("requirements.txt")
MODULES = sorted([*Path("legc_utils").glob("*.py"), *Path("book/study").glob("*.py")])


def digest(*parts):
    """One hash for files (by content) and values."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(Path(part).read_bytes() if isinstance(part, Path) else json.dumps(part, sort_keys=True).encode())
    return whole.hexdigest()


def source_key(path):
    """What a notebook says: its cells, not its stored outputs."""
    return [(c.cell_type, c.source, c.metadata.get("tags")) for c in jupytext.read(path).cells]


def notebook_code():
    """The packages and the lock, without the modules that judge what notebooks wrote: no result depends on those."""
    return digest(*(m for m in MODULES if m.stem not in ("claims", "sweeps")), LOCK)
