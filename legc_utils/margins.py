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

# A fresh run against tests/reference: (tolerance, relative and absolute; columns, None for all), by data set or
# chapter. Small networks are trained by our own kernel, which gives the same bits on one kind of machine. Matrix
# products of mini-batches differ from processor to processor in the last digit, and training amplifies that.
_STEADY = "seed model variant weights pruned_percent causal_percent accuracy f1 layer eigenvalues alpha"
REFERENCE = {
    "default": (1e-6, None),
    "mnist5k": (0.1, _STEADY.split()),
    "07_weightwatcher": (0.25, _STEADY.split()),  # an exponent fitted to 10 to 50 eigenvalues of such weights
    # float32 and batch norm, from processor to processor: what was asked for must be the same, what came out alike
    **dict.fromkeys(
        ["14_resnet", "15_densenet", "16_transformer"],
        (0.15, ["by", "kind", "method", "over", "target", "draw", "seed", "multiply_adds", "accuracy"]),
    ),
    # maps followed where they are chaotic: every last digit grows, so only what averages over many windows is compared
    "10_chaos": (0.05, ["kind", "name", "seed", "setting", "at", "truth", "rate", "positive", "value"]),
}
