"""What only the book needs: results, claims and their tests, and the experiments around the method."""

import legc_utils  # noqa: F401 (it silences a warning that torch and pooch bring along)
