"""LEGCNet, re-derived: chaos and causality as a rule for pruning dense networks.

Data flows one way: datasets → training → lyapunov → granger → pruning → diagnostics → results → plots.
"""
