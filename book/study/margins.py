"""What counts as equal, as different, and as the same result again. Fixed before the results, in this one file.

The verdicts of `claims` and the comparison with the reference results read these numbers and no others.
"""

LEVEL = 0.05  # of every test, after Holm's correction over all superiority tests of the ledger
LEAST = 5  # seeds below which equivalence and superiority stay undecided: the paper's own number of runs
ACCURACY = 0.02  # "no loss of accuracy", "at par": within two points; more than any difference in Tables 1 and 2
F1 = 0.02
EPOCHS = 0.10  # "at par in convergence speed": within a tenth of the dense network's epochs
WEIGHTS = 0.10  # "at par in FLOPs": remaining weights within a tenth
HALF = 0.60  # "just half the number of epochs": at most six tenths
SHARE = 0.95  # "consistently", "on every layer": at least this share
KAPPA = 0.60  # "such candidates are detected" early: substantial agreement of the masks (Landis & Koch 1977)
FALSE_ALARMS = 0.10  # a test at 5 % keeps its level if it calls no more of what means nothing causal
PRINTED = 0.02  # a printed accuracy comes out again: best of the seeds this near, or one test sample if that is more
ALPHA_LOW, ALPHA_HIGH = 2.0, 6.0  # a well-trained layer, by section 5.1 and WeightWatcher's own guide

# A fresh run against tests/reference, by chapter: (tolerance, relative and absolute; columns, None for all). What is
# trained gives the same bits on every x86-64 with AVX2 (`portable`); what is left is the last digits of linear algebra.
REFERENCE = {
    "default": (1e-6, None),
    # maps followed where they are chaotic: every last digit grows, so only what averages over many windows is compared
    "10_chaos": (0.05, ["kind", "name", "seed", "setting", "at", "truth", "rate", "positive", "value"]),
}
