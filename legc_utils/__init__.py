"""LEGCNet, re-derived: chaos and causality as a rule for pruning dense networks.

Data flows one way: datasets → training → lyapunov → granger → selection → pruning; `recorder` follows any torch model.
"""

import warnings

# tqdm, imported by torch, asks for notebook widgets; the book does without progress bars
warnings.filterwarnings("ignore", message="IProgress not found")
