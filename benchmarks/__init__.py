"""The core against its peers, its scaling, its memory and the machine's limit: `python -m benchmarks`."""

WINDOW, STEPS, MAX_LAG = 200, 3, 14  # iterates a window, iterates followed, lags of the Granger test
