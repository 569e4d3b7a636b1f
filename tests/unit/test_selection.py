"""The rule that turns p-values into masks, and the whole selection against its steps by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.multitest import multipletests

from legc_utils import datasets, granger, lyapunov, protocols, selection, training

pvalues = arrays(float, st.integers(1, 12), elements=st.floats(0, 1) | st.sampled_from([0.01, 0.05, 0.5]))
alphas = st.floats(0.001, 0.999)
corrections = st.sampled_from(protocols.CHOICES["correction"])


# the rule


def test_noncausal_prunes_from_alpha_upwards():
    p = [0.0, 0.0499, 0.05, 0.0501, 1.0]
    assert selection.legc_mask(p, alpha=0.05).tolist() == [True, True, False, False, False]
    assert selection.legc_mask(p, alpha=0.05, rule="causal").tolist() == [False, False, True, True, True]


def test_several_lags_are_reduced_to_the_smallest_p():
    p = [[0.9, 0.01, 0.05], [0.02, 0.8, 0.06], [0.5, 0.5, 0.07]]
    assert selection.legc_mask(p).tolist() == [True, True, False]


@pytest.mark.parametrize("correction", protocols.CHOICES["correction"])
def test_undefined_pvalues_are_never_pruned_by_the_published_rule(correction):
    p = np.array([[0.9, np.nan, np.nan, 0.9], [0.9, 0.9, np.nan, 0.001]])
    assert selection.legc_mask(p, correction=correction).tolist() == [False, True, True, True]
    assert selection.legc_mask(p, rule="causal", correction=correction).tolist() == [True, False, False, False]
    assert selection.legc_mask(np.full(3, np.nan), correction=correction).all()


@pytest.mark.parametrize("undefined", [1, 90])
def test_undefined_pvalues_do_not_help_the_others_past_benjamini_and_hochberg(undefined):
    """Counted as zeros, ninety of them used to keep p = .04 among nine .5s, which is pruned without them."""
    p = np.r_[0.04, np.full(9, 0.5), np.full(undefined, np.nan)]
    assert selection.legc_mask(p, correction="fdr_bh").tolist() == [False] * 10 + [True] * undefined


@given(pvalues, alphas, corrections, st.integers(0, 30), st.integers(0, 12))
def test_a_correction_does_not_see_undefined_pvalues(p, alpha, correction, undefined, at):
    """They neither helped a step-up correction nor, under Bonferroni, hindered: not tested is not in the family."""
    at = min(at, len(p))
    found = selection.legc_mask(np.insert(p, at, np.full(undefined, np.nan)), alpha, correction=correction)
    assert found[at : at + undefined].all()
    assert np.array_equal(
        np.delete(found, np.s_[at : at + undefined]), selection.legc_mask(p, alpha, correction=correction)
    )


@given(pvalues, alphas, corrections)
def test_the_two_rules_are_complements(p, alpha, correction):
    kept = selection.legc_mask(p, alpha, "noncausal", correction)
    assert kept.dtype == bool and kept.shape == p.shape
    assert np.array_equal(kept, ~selection.legc_mask(p, alpha, "causal", correction))


@given(pvalues, st.tuples(alphas, alphas).map(sorted), corrections)
def test_a_larger_alpha_never_prunes_more(p, levels, correction):
    small, large = (selection.legc_mask(p, alpha, correction=correction) for alpha in levels)
    assert (small <= large).all()


@given(pvalues, alphas, corrections)
def test_a_correction_never_keeps_more(p, alpha, correction):
    corrected, plain = selection.legc_mask(p, alpha, correction=correction), selection.legc_mask(p, alpha)
    assert (corrected <= plain)[p != alpha].all()


@pytest.mark.parametrize("correction", ["bonferroni", "fdr_bh", "fdr_by"])
@settings(max_examples=50)
@given(p=pvalues, alpha=alphas)
def test_corrections_are_statsmodels(correction, p, alpha):
    expected = multipletests(p, alpha, correction)[0]
    assert np.array_equal(selection.legc_mask(p, alpha, correction=correction), expected)
    assert np.array_equal(selection.legc_mask(np.stack([p, np.ones_like(p)]), alpha, correction=correction), expected)


def test_corrections_count_all_weights():
    p = np.r_[0.04, np.ones(19)]
    assert selection.legc_mask(p).sum() == 1
    assert (
        selection.legc_mask(p, correction="bonferroni").sum() == selection.legc_mask(p, correction="fdr_bh").sum() == 0
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (dict(pvalues=[0.5, 1.2]), r"\[0.5, 1.2\].*0 to 1"),
        (dict(pvalues=[-0.1, 0.5]), r"\[-0.1, 0.5\].*0 to 1"),
        (dict(pvalues=[]), "shape"),
        (dict(pvalues=np.zeros((2, 2, 2))), "shape"),
        (dict(alpha=0), "alpha=0.*between 0 and 1"),
        (dict(alpha=1.0), "alpha=1.0.*between 0 and 1"),
        (dict(rule="non-causal"), "non-causal.*noncausal, causal"),
        (dict(correction="holm"), "holm.*bonferroni, fdr_bh, fdr_by"),
    ],
)
def test_bad_input_is_named_with_what_is_allowed(bad, message):
    with pytest.raises(ValueError, match=message):
        selection.legc_mask(**dict(pvalues=[0.1, 0.2]) | bad)


# the whole selection


def toy(n=30, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * n, 3))
    y = (X[:, 0] + 0.5 * rng.normal(size=2 * n) > 0).astype(int)
    return datasets.Split(X[:n], y[:n], X[n:], y[n:], tuple("abc"), ("no", "yes"), name="toy")


SHORT = dict(
    rate=0.5, init_sd=1.0, recorded_epochs=12, partial_epochs=6, window=20, partial_window=12, steps=5, max_lag=3,
    partial_max_lag=2,
)  # fmt: skip


def short(name="published", **changes):
    return protocols.get(name, "toy", **(SHORT | changes))


@pytest.mark.parametrize("variant", protocols.VARIANTS)
@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_the_selection_is_the_four_steps_by_hand(name, variant):
    protocol = short(name, min_tsep=2)
    found = selection.find_masks(toy(), 2, [0, 3], protocol, variant)
    epochs, window, steps, max_lag = {"FT": (12, 20, 5, 3), "PT": (6, 12, 3, 2)}[variant]
    ends = lyapunov.window_ends(epochs * 30 + 1, window, 0.1)
    runs = training.train_ensemble(toy(), 2, [0, 3], protocol, epochs=epochs, rows=ends, record="weights")
    for s in range(2):
        exponents = lyapunov.windowed_lyapunov(
            runs.weights[:, s], window, 0.1, decimals=protocol.decimals, min_tsep=2, steps=steps
        )
        error = (runs.train_error if name == "corrected" else runs.test_error)[:, s]
        p = granger.protocol_pvalues(error, exponents, protocol, max_lag)
        assert np.array_equal(found.exponents[:, s], exponents)
        assert np.array_equal(found.target[:, s], error)
        np.testing.assert_allclose(found.pvalues[s], p.min(axis=0), atol=1e-12)
        assert np.array_equal(found.masks[s], selection.legc_mask(p, correction=protocol.correction))


@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_the_selection_has_the_documented_shapes(name):
    found = selection.find_masks(toy(), (3, 2), [0, 1, 2], short(name, min_tsep=2))
    n_windows = len(found.horizon.rows)
    assert found.exponents.shape == (n_windows, 3, 17) and found.target.shape == (n_windows, 3)
    assert found.pvalues.shape == (3, 17) and found.masks.shape == (3, 17) and found.masks.dtype == bool
    assert ((found.target >= 0) & (found.target <= 1)).all()


def test_the_selection_is_repeatable_and_each_seed_stands_alone():
    a, b = (selection.find_masks(toy(), 2, [0, 1], short()) for _ in range(2))
    for name in ("exponents", "target", "pvalues", "masks"):
        assert np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
    alone = selection.find_masks(toy(), 2, [1], short())
    assert np.array_equal(alone.exponents[:, 0], a.exponents[:, 1])
    assert np.array_equal(alone.masks[0], a.masks[1])


def test_partial_training_sees_fewer_windows_of_the_same_run():
    settings = short(partial_window=20, partial_steps=5)
    ft, pt = (selection.find_masks(toy(), 2, [0], settings, variant) for variant in ("FT", "PT"))
    n = len(pt.horizon.rows)
    assert n < len(ft.horizon.rows) and pt.horizon.epochs < ft.horizon.epochs
    assert np.array_equal(pt.exponents, ft.exponents[:n]) and np.array_equal(pt.target, ft.target[:n])


def test_mini_batches_can_be_followed_too():
    settings = short(batch_size=8, shuffle=True, recorded_epochs=40, steps=3, max_lag=2)  # 4 iterates an epoch
    found = selection.find_masks(toy(), 2, [0, 1], settings)
    assert found.exponents.shape == (len(lyapunov.window_ends(161, 20, 0.1)), 2, 8)
    assert np.isfinite(found.exponents).all()


def test_given_initial_weights_are_followed():
    initial = training.initial_parameters((3, 2, 1), 9, short())
    given = selection.find_masks(toy(), 2, [0], short(), initial=[part[None] for part in initial])
    assert np.array_equal(given.exponents, selection.find_masks(toy(), 2, [9], short()).exponents)


@pytest.mark.parametrize(
    ("changes", "variant", "message"),
    [
        (dict(), "ft", "variant='ft'.*FT, PT"),
        (dict(window=362), "FT", "window=362.*361"),
        (dict(partial_window=182), "PT", "window=182.*181"),
        (dict(window=5), "FT", "window=5.*at least 8"),
        (dict(overlap=1.0), "FT", "overlap=1.0"),
        (dict(max_lag=7), "FT", "max_lag=7.*there are 19.*up to 5"),
        (dict(window=361), "FT", "max_lag=3.*there are 1;.*a longer run or a smaller window"),
    ],
)
def test_a_horizon_that_cannot_work_is_refused_before_training(monkeypatch, changes, variant, message):
    monkeypatch.setattr(training, "train_ensemble", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        selection.find_masks(toy(), 2, [0], short(**changes), variant)


def test_differencing_needs_one_window_more():
    """17 windows are enough for 5 lags, but not once differencing has taken one: all p-values would be undefined."""
    enough = short(window=22, max_lag=5)
    assert len(selection.horizon(toy(), enough).rows) == 17
    assert np.isfinite(selection.find_masks(toy(), 2, [0], enough).pvalues).all()
    with pytest.raises(ValueError, match="max_lag=5.*at least 18 windows.*there are 17.*up to 4"):
        selection.horizon(toy(), protocols.get(enough, difference=True))  # so it is known before training


TRAIN_ROWS = dict(
    cancer=546,
    titanic=891,
    banknote=1097,
    iris=120,
    iris3f=120,
    vowel=741,
    mnist5k=3500,
    mnist=29_400,
    wine=142,
    wdbc=455,
    digits=1437,
)


@pytest.mark.parametrize("variant", protocols.VARIANTS)
@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("dataset", protocols.DATASETS)
def test_every_data_set_has_a_horizon_under_every_protocol(dataset, protocol, variant):
    X = np.empty((TRAIN_ROWS[dataset], 1))
    split = datasets.Split(X, None, X, None, ("x",), ("a", "b"), name=dataset)
    look = selection.horizon(split, protocols.get(protocol, dataset), variant)
    assert len(look.rows) > 3 * look.max_lag + 1


def test_after_first_gives_the_same_choice_for_the_weights_it_looks_at():
    everything = selection.find_masks(toy(), 2, [0, 1], short())
    part = selection.find_masks(toy(), 2, [0, 1], short(candidates="after_first"))
    assert np.array_equal(part.masks[:, 6:], everything.masks[:, 6:]) and part.masks[:, :6].all()
    assert np.array_equal(part.exponents, everything.exponents[..., 6:])
