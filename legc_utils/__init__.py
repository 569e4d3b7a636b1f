"""LEGCNet, re-derived: chaos and causality as a rule for pruning dense networks.

Data flows one way: datasets → training → lyapunov → granger → pruning → diagnostics → results → plots.
"""

import warnings

# tqdm, imported by torch, asks for notebook widgets; the book does without progress bars
warnings.filterwarnings("ignore", message="IProgress not found")
