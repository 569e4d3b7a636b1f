import numpy as np
import pandas as pd

from study import convergence

NAN = np.nan


def frame(**models):
    return pd.DataFrame(models, dtype=float)


def test_restricted_times_are_the_restricted_mean_of_survival_analysis():
    from statsmodels.duration.survfunc import SurvfuncRight

    epochs = pd.Series([3, 7, 7, 20, NAN, NAN, 11.0])
    time, last = (epochs + 1).fillna(50), 50
    survival = SurvfuncRight(time, epochs.notna())
    steps = np.diff([0, *survival.surv_times, last])
    area = (steps * [1, *survival.surv_prob]).sum()
    assert abs(np.exp(convergence.restricted_logs(epochs, last)).mean() - area) < 1e-9


def test_where_neither_of_most_pairs_arrives_nothing_is_known_of_their_speed():
    """On titanic dense and FT never arrived, but a random mask did: the old reading decided three claims from that."""
    epochs = frame(dense=[NAN] * 5, FT=[NAN] * 5, random=[40.0, NAN, 41, 42, 43])
    logs = convergence.restricted_logs(epochs, 100)
    assert convergence.log_ratio(logs, epochs, "dense", "FT").isna().all()
    assert convergence.tickets(epochs * 0 + 1, epochs, "FT").isna().all()
    assert (convergence.log_ratio(logs, epochs, "dense", "random") >= 0).all()


def test_a_few_pairs_without_an_end_are_kept_with_no_difference():
    epochs = frame(dense=[9.0, 9, NAN], FT=[4.0, 9, NAN])
    found = convergence.log_ratio(convergence.restricted_logs(epochs, 100), epochs, "dense", "FT")
    assert np.allclose(found, [np.log(2), 0, 0])


def test_a_ratio_counts_the_same_both_ways():
    epochs = frame(FT=[4.0, 9], PT=[9.0, 4])
    logs = convergence.restricted_logs(epochs, 100)
    assert abs(convergence.log_ratio(logs, epochs, "FT", "PT").mean()) < 1e-12
    assert ((epochs.PT + 1) / (epochs.FT + 1) - 1).mean() > 0.2  # a mean of ratios favours neither


def test_a_ticket_is_no_less_accurate_and_strictly_sooner():
    epochs = frame(dense=[9.0, 9, 9, NAN, NAN, 9], FT=[8.0, 9, 8, 8, NAN, NAN])
    accuracy = frame(dense=[0.9] * 6, FT=[0.9, 0.9, 0.8, 0.9, 0.9, 0.9])
    found = convergence.tickets(accuracy, epochs, "FT")
    assert found[:4].tolist() == [1, 0, 0, 1] and np.isnan(found[4]) and found[5] == 0
