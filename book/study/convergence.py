"""How soon networks reach a benchmark, where some never do: epochs are censored at the last one."""

import numpy as np


def restricted_logs(epochs, last):
    """Logarithm of the epochs to the benchmark, restricted to the last: DataFrame as `epochs`.

    epochs : DataFrame by run and model, counted from 0, NaN where the benchmark was never reached
    last : int, epochs that were trained. As every network is followed to its last epoch, the mean of the restricted
    time is the restricted mean survival time (Royston & Parmar 2013) without further estimate.
    """
    return np.log((epochs + 1).fillna(last))


def log_ratio(logs, epochs, one, other):
    """Restricted log time of `one` less that of `other`, a Series by run: above zero `other` is sooner.

    logs : as `restricted_logs` returns; epochs : what they are of. All NaN where in more than half of the pairs neither
    network reaches the benchmark, as then nothing is known of either's speed; what other models do does not matter.
    """
    neither = epochs[one].isna() & epochs[other].isna()
    return (logs[one] - logs[other]) * (1.0 if neither.mean() <= 0.5 else np.nan)


def tickets(accuracy, epochs, one, other="dense"):
    """Whether `one` is no less accurate than `other` and strictly sooner: 1 or 0 by run, NaN if neither arrives.

    accuracy, epochs : DataFrames by run and model
    """
    sooner = epochs[one].fillna(np.inf) < epochs[other].fillna(np.inf)
    won = (accuracy[one] >= accuracy[other]) & sooner
    return won.astype(float).where(epochs[one].notna() | epochs[other].notna())
