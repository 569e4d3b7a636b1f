"""The core against its peers, its scaling, its memory and the machine's limit: `python -m benchmarks`."""
