"""Rosenstein's estimator against a naive reference, nolds and known systems."""

import os
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legc_utils import lyapunov

LOG2 = np.log(2)  # the logistic map's exponent, in nats


def naive_divergence(x, emb_dim, lag, min_tsep, steps):
    """S(0 … steps), straight from Rosenstein's definition: for each point, look at every other one."""
    points = np.array([x[i : i + (emb_dim - 1) * lag + 1 : lag] for i in range(len(x) - (emb_dim - 1) * lag)])
    followed = len(points) - steps
    logs = [[] for _ in range(steps + 1)]
    for i in range(followed):
        squares = ((points[:followed] - points[i]) ** 2).sum(axis=1)
        allowed = (squares > 0) & (abs(np.arange(followed) - i) > min_tsep)
        if allowed.any():
            least = squares[allowed].min()
            nearest = np.flatnonzero(allowed & (squares == least))[-1]  # of several the latest
            for k in range(steps + 1):
                distance = np.sqrt(((points[i + k] - points[nearest + k]) ** 2).sum())
                if distance > 0:
                    logs[k].append(np.log(distance))
    return np.array([np.mean(log) if log else np.nan for log in logs])


def logistic(x0, n):
    x = np.empty(n)
    x[0] = x0
    for i in range(n - 1):
        x[i + 1] = 4 * x[i] * (1 - x[i])
    return x


def walks(n_steps, n_weights, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=(n_steps, n_weights)), axis=0)


kwargs = st.fixed_dictionaries(
    dict(emb_dim=st.integers(1, 3), lag=st.integers(1, 3), min_tsep=st.integers(0, 5), steps=st.integers(1, 6))
)


def series(kind, shape, rng):
    if kind == "walk":
        return np.cumsum(rng.normal(size=shape), axis=-1)
    if kind == "many scales":  # clusters and outliers; products of distances would over- and underflow
        return rng.random(shape) * 10.0 ** rng.integers(-60, 60, shape)
    if kind == "stretches":  # constant for long, as the weights of pixels that are nearly always white
        return np.cumsum(rng.normal(size=shape) * (rng.random(shape) < 0.1), axis=-1)
    grid = {"noise": 0, "eighths": 8, "two values": 1}[kind]  # with ties between neighbours, and points that coincide
    return np.round(rng.random(shape) * grid) / grid if grid else rng.random(shape)


KINDS = ("noise", "walk", "many scales", "stretches", "eighths", "two values")


@settings(max_examples=100, deadline=None)
@given(kwargs, st.integers(0, 40), st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
def test_divergence_is_rosensteins(kwargs, extra, seed, kind):
    length = (kwargs["emb_dim"] - 1) * kwargs["lag"] + kwargs["steps"] + kwargs["min_tsep"] + 2 + extra
    windows = series(kind, (3, length), np.random.default_rng(seed))
    S = lyapunov.divergence(windows, **kwargs)
    assert S.shape == (3, kwargs["steps"] + 1) and S.dtype == np.float64
    expected = [naive_divergence(x, **kwargs) for x in windows]
    np.testing.assert_allclose(S, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("window", "steps"), [(250, 20), (50, 3)])
def test_divergence_is_rosensteins_with_the_papers_settings(kind, window, steps):
    x = series(kind, window, np.random.default_rng(0))
    expected = naive_divergence(x, 2, 1, 0, steps)
    np.testing.assert_allclose(lyapunov.divergence(x, steps=steps)[0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-156, 1e-100, 1e100, 1e150])
@pytest.mark.parametrize("length", [60, 700, 1300])
def test_squares_near_the_ends_of_floating_point_keep_their_logarithms(scale, length):
    """At 1e-156 their last digits are lost, in the definition too; long products must not overflow."""
    x = scale * walks(length, 1)[:, 0]
    expected = naive_divergence(x, 2, 1, 0, 3)
    np.testing.assert_allclose(lyapunov.divergence(x)[0], expected, rtol=0, atol=1e-9)


def test_of_equally_near_neighbours_the_latest_counts():
    x = np.array([1.0, 0, 9, 2, 5, 7])  # the first point is as far from the second as from the fourth
    S = lyapunov.divergence(x, emb_dim=1, steps=1)[0]
    nearest = [3, 0, 4, 0, 3]
    expected = np.mean([np.log(abs(x[i + 1] - x[j + 1])) for i, j in enumerate(nearest)])
    assert S[1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("ignore:pkg_resources")
@pytest.mark.parametrize("emb_dim", [1, 2, 3])
@pytest.mark.parametrize(("lag", "min_tsep", "steps"), [(1, 0, 3), (1, 10, 20), (3, 2, 5)])
def test_divergence_equals_nolds_on_continuous_data(emb_dim, lag, min_tsep, steps):
    import nolds

    for x in (*walks(200, 3).T, logistic(0.3, 200), np.random.default_rng(1).normal(size=200)):
        settings = dict(emb_dim=emb_dim, lag=lag, min_tsep=min_tsep)
        _, (ks, S, _) = nolds.lyap_r(x, trajectory_len=steps + 1, fit="poly", debug_data=True, **settings)
        assert len(ks) == steps + 1
        np.testing.assert_allclose(lyapunov.divergence(x, steps=steps, **settings)[0], S, rtol=0, atol=1e-10)


def test_windows_are_independent_of_each_other():
    windows = walks(60, 7).T
    whole = lyapunov.divergence(windows)
    assert np.array_equal(whole, np.concatenate([lyapunov.divergence(x) for x in windows]))
    assert np.array_equal(whole, lyapunov.divergence(np.asfortranarray(windows)))


@pytest.mark.parametrize("x0", [0.1, 0.3, 0.62])
def test_logistic_map_diverges_by_ln_2_per_iterate(x0):
    S = lyapunov.divergence(logistic(x0, 2000), min_tsep=1)[0]
    assert S[1] - S[0] == pytest.approx(LOG2, abs=0.05)
    assert S[2] - S[1] == pytest.approx(LOG2, abs=0.05)


def test_white_noise_is_positive_in_every_window():
    """The known bias of the published estimator: choosing the nearest neighbour looks like divergence."""
    exponents = lyapunov.windowed_lyapunov(np.random.default_rng(0).normal(size=(1000, 5)), window=200, overlap=0.1)
    assert (exponents > 0.5).all()


def test_windowed_exponent_is_s1_minus_s0_of_every_window():
    x = walks(100, 4)
    exponents = lyapunov.windowed_lyapunov(x, window=30, overlap=0.1, min_tsep=2)
    starts = [0, 27, 54]  # 27 apart; a fourth window would need 111 iterates
    assert exponents.shape == (3, 4) and exponents.dtype == np.float64
    for k, start in enumerate(starts):
        S = lyapunov.divergence(x[start : start + 30].T, min_tsep=2)
        np.testing.assert_allclose(exponents[k], S[:, 1] - S[:, 0], rtol=0, atol=1e-9)
    assert np.array_equal(lyapunov.window_ends(100, 30, 0.1), [29, 56, 83])


@pytest.mark.parametrize("n_weights", [1, 15, 16, 17, 40])
def test_weights_are_independent_of_each_other_and_of_how_they_lie_in_memory(n_weights):
    x = walks(150, n_weights)
    whole = lyapunov.windowed_lyapunov(x, window=40, decimals=3)
    alone = [lyapunov.windowed_lyapunov(x[:, [i]], window=40, decimals=3) for i in range(n_weights)]
    assert np.array_equal(whole, np.hstack(alone))
    assert np.array_equal(whole, lyapunov.windowed_lyapunov(np.asfortranarray(x), window=40, decimals=3))
    assert np.array_equal(whole, lyapunov.windowed_lyapunov(np.repeat(x, 2, axis=1)[:, ::2], window=40, decimals=3))


@pytest.mark.parametrize(
    ("n_rows", "window", "overlap", "n_windows"),
    [
        (20, 20, 0.1, 1),
        (37, 20, 0.1, 1),
        (38, 20, 0.1, 2),
        (40, 20, 0.0, 2),
        (40, 20, 0.5, 3),
        (22, 20, 0.99, 3),
        (22, 12, 0.1, 1),
    ],
)
def test_number_of_windows(n_rows, window, overlap, n_windows):
    assert len(lyapunov.window_ends(n_rows, window, overlap)) == n_windows
    assert lyapunov.windowed_lyapunov(walks(n_rows, 2), window, overlap).shape == (n_windows, 2)


def test_ft_windows_of_the_paper_on_cancer():
    ends = lyapunov.window_ends(50 * 546 + 1, 200, 0.1)
    assert (len(ends), ends[0], ends[1], ends[-1]) == (151, 199, 379, 27_199)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.floats(1e-2, 1e4), st.sampled_from([-1, 1]), st.floats(-100, 100))
def test_exponents_do_not_depend_on_scale_or_shift(seed, scale, sign, shift):
    x = walks(60, 3, seed)
    expected = lyapunov.windowed_lyapunov(x, window=25)
    found = lyapunov.windowed_lyapunov(sign * scale * (x + shift), window=25)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_static_windows_have_exponent_0_and_their_neighbours_are_not_affected():
    x = walks(60, 4)
    alone = lyapunov.windowed_lyapunov(x[:, [3]], window=30, overlap=0)
    x[:, 0] = 0.7
    x[:, 1] = 0.7 + 0.9e-5 * np.random.default_rng(0).random(60)  # moves, but less than 1e-5
    x[:30, 2] = 1.0
    exponents = lyapunov.windowed_lyapunov(x, window=30, overlap=0)
    assert (exponents[:, :2] == 0).all()
    assert exponents[0, 2] == 0 and exponents[1, 2] != 0
    assert np.array_equal(exponents[:, 3], alone[:, 0])


def test_windows_without_any_neighbour_are_nan():
    assert np.isnan(lyapunov.divergence(np.full((2, 20), 0.7))).all()
    late = np.zeros(20)
    late[-2:] = 1, 2  # moves only after the last point that has `steps` iterates left
    assert np.isnan(lyapunov.divergence(late)).all()
    assert np.isnan(lyapunov.windowed_lyapunov(late[:, None], window=20)).all()


def test_pairs_that_meet_are_left_out():
    x = np.array([0.0, 5, 1, 5, 0, 5, 1, 5, 0, 5, 1, 5])  # 0 and 1 both lead to 5
    S = lyapunov.divergence(x, emb_dim=1, steps=2)[0]
    assert np.isfinite(S).all()
    np.testing.assert_allclose(S, naive_divergence(x, 1, 1, 0, 2), rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_streaming_equals_windowed_bit_for_bit(data):
    window = data.draw(st.integers(7, 25), "window")
    n_rows = data.draw(st.integers(window, 120), "rows")
    overlap = data.draw(st.sampled_from([0.0, 0.1, 0.33, 0.5, 0.9, 0.99]), "overlap")
    decimals = data.draw(st.sampled_from([None, 6]), "decimals")
    x = walks(n_rows, 3, data.draw(st.integers(0, 1000), "seed"))
    cuts = data.draw(st.lists(st.integers(0, n_rows), max_size=8).map(sorted), "cuts")
    stream = lyapunov.StreamingLyapunov(3, window, overlap, decimals=decimals, min_tsep=1)
    for piece in np.split(x, cuts):
        if len(piece) == 1:
            piece = piece[0]  # one iterate may come without its first axis
        stream.update(piece)
    expected = lyapunov.windowed_lyapunov(x, window, overlap, decimals=decimals, min_tsep=1)
    assert np.array_equal(stream.result(), expected, equal_nan=True)


def test_streaming_result_holds_the_whole_windows_so_far():
    stream, x = lyapunov.StreamingLyapunov(2, 20, 0.5), walks(45, 2)
    for n_seen, row in enumerate(x, 1):
        stream.update(row)
        assert stream.result().shape == (max(0, (n_seen - 10) // 10), 2)
    assert np.array_equal(stream.result(), lyapunov.windowed_lyapunov(x, 20, 0.5))


def test_streaming_does_not_depend_on_the_caller_keeping_its_arrays():
    x, stream = walks(60, 3), lyapunov.StreamingLyapunov(3, 20)
    buffer = np.empty((7, 3))
    for start in range(0, 60, 7):
        piece = buffer[: len(x[start : start + 7])]
        piece[:] = x[start : start + 7]
        stream.update(piece)
        buffer[:] = -1
    assert np.array_equal(stream.result(), lyapunov.windowed_lyapunov(x, 20))


def test_streaming_memory_does_not_grow_with_the_run():
    chunk = walks(500, 50)
    stream = lyapunov.StreamingLyapunov(50, window=100, overlap=0.1)
    stream.update(chunk)
    tracemalloc.start()
    for _ in range(40):  # 20,000 iterates: 8 MB if they were kept
        stream.update(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 100 * 50 * 8  # ten windows of 40 kB


def test_decimals_round_the_weights_first():
    x = 1e-3 * walks(60, 3)
    rounded = lyapunov.windowed_lyapunov(x, 20, decimals=4)
    np.testing.assert_allclose(rounded, lyapunov.windowed_lyapunov(np.round(x, 4), 20), rtol=0, atol=1e-9)
    assert not np.allclose(rounded, lyapunov.windowed_lyapunov(x, 20))


def test_a_window_that_rounding_makes_static_has_exponent_0():
    x = 0.5 + 1e-4 * np.random.default_rng(0).random((40, 2))
    assert (lyapunov.windowed_lyapunov(x, 20, decimals=3) == 0).all()


@pytest.mark.parametrize(
    ("bad", "named", "allowed"),
    [
        (dict(window=1), "window=1 ", "at least 6"),
        (dict(window=5), "window=5 ", "at least 6"),
        (dict(window=20.0), "window=20.0", "whole number"),
        (dict(window=41), "window=41", "at most 40"),
        (dict(overlap=1.0), "overlap=1.0", "from 0 up to"),
        (dict(overlap=-0.1), "overlap=-0.1", "from 0 up to"),
        (dict(overlap=float("nan")), "overlap=nan", "from 0 up to"),
        (dict(emb_dim=0), "emb_dim=0", "at least 1"),
        (dict(lag=0), "lag=0", "at least 1"),
        (dict(min_tsep=-1), "min_tsep=-1", "at least 0"),
        (dict(steps=0), "steps=0", "at least 1"),
        (dict(decimals=-1), "decimals=-1", "at least 0"),
        (dict(decimals=2.5), "decimals=2.5", "whole number"),
        (dict(steps=18), "window=20", "at least 21"),  # (2 - 1)·1 + 18 + 0 + 2
        (dict(trajectory=np.zeros(40)), r"trajectory.*\(40,\)", "n_steps, n_weights"),
        (dict(trajectory=np.full((40, 2), np.nan)), "trajectory.*NaN", "finite"),
        (dict(trajectory=np.full((40, 2), np.inf)), "trajectory.*infinite", "finite"),
    ],
)
def test_bad_input_is_named_with_what_is_allowed(bad, named, allowed):
    given = dict(trajectory=walks(40, 2), window=20, overlap=0.1) | bad
    with pytest.raises(ValueError, match=named) as error:
        lyapunov.windowed_lyapunov(**given)
    assert allowed in str(error.value)


@pytest.mark.parametrize("bad", [np.full((1, 20), np.nan), np.zeros((1, 1, 20)), np.zeros((1, 5)), np.zeros(0)])
def test_divergence_refuses_what_it_cannot_use(bad):
    with pytest.raises(ValueError, match="window"):
        lyapunov.divergence(bad)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_streaming_refuses_weights_that_are_not_finite(bad):
    x = walks(40, 2)
    x[7, 1] = bad  # a run that blew up must not come out as "static, exponent 0"
    with pytest.raises(ValueError, match="NaN"):
        lyapunov.StreamingLyapunov(2, 20).update(x)


def test_streaming_refuses_rows_of_another_width():
    with pytest.raises(ValueError, match="4"):
        lyapunov.StreamingLyapunov(6, 20).update(np.zeros((3, 4)))


def exact_divergence(x, emb_dim, lag, min_tsep, steps):
    """As `naive_divergence`, in numbers of 53 bits whose exponents have no end."""
    from mpmath import fsum, log, mp, mpf

    with mp.workprec(53):
        x = [mpf(float(v)) for v in x]
        followed = len(x) - (emb_dim - 1) * lag - steps
        square = lambda i, j: fsum((x[i + k * lag] - x[j + k * lag]) ** 2 for k in range(emb_dim))
        logs = [[] for _ in range(steps + 1)]
        for i in range(followed):
            near = [(-square(i, j), j) for j in range(followed) if abs(i - j) > min_tsep]
            near = max((pair for pair in near if pair[0] < 0), default=None)  # of several the latest
            for k in range(steps + 1) if near else ():
                if (squared := square(i + k, near[1] + k)) > 0:
                    logs[k].append(float(log(squared)) / 2)
    return np.array([np.mean(found) if found else np.nan for found in logs])


SIGNS = np.random.default_rng(5).choice([-1.0, 1.0], 30)
WALK = walks(30, 1, seed=7)[:, 0]
THIRDS = np.random.default_rng(6).integers(0, 3, 30) * 1.0
EXTREME = {
    **{f"signs x {scale}": scale * SIGNS for scale in (1e303, 1.7e308, 1e-160, 5e-324)},
    **{f"walk x {scale}": scale * WALK for scale in (1e150, 1e155, 1e160, 1e306, 1e-150, 1e-155, 1e-160, 1e-300)},
    **{f"grid x {scale}": scale * THIRDS for scale in (1e200, 2.0**1000, 1e-250)},
    "subnormal": np.round(100 * WALK) * 5e-324,
    "1e308 and a little less": np.where(SIGNS > 0, 1e308, 0.9e308),
    "constant 1e308": np.full(30, 1e308),
    "zeros of both signs": np.where(np.arange(30) == 7, 1.0, SIGNS * 0.0),
    "outlier of 1e140": np.where(np.arange(30) == 7, 1e140, WALK),
    "outlier of 1e200": np.where(np.arange(30) == 7, 1e200, WALK),
    "all but one near zero": np.where(np.arange(30) == 7, 1.0, 1e-200 * WALK),
    "two clusters": np.where(SIGNS > 0, 1e-140 * WALK, 1e100 * WALK),
}
TOO_WIDE = {  # no power of two brings all squares into floating point
    "outlier of 1e300": np.where(np.arange(30) == 7, 1e300, 1 + np.abs(WALK)),
    "outlier of -1.7e308": np.where(np.arange(30) == 7, -1.7e308, WALK),
    "from one end to the other": np.geomspace(1e-300, 1e300, 30),
    "subnormal and largest": np.where(SIGNS > 0, 5e-324, 1.7e308),
}
EMBEDDINGS = [(1, 1, 0, 1), (2, 1, 0, 3), (2, 3, 4, 1), (3, 1, 2, 3), (4, 2, 0, 3), (4, 3, 3, 4)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("kind", EXTREME)
def test_no_square_over_or_underflows(kind, embedding):
    x, choices = EXTREME[kind], dict(zip(("emb_dim", "lag", "min_tsep", "steps"), embedding))
    before, expected = x.copy(), exact_divergence(x, *embedding)
    np.testing.assert_allclose(lyapunov.divergence(x, **choices)[0], expected, rtol=0, atol=1e-9)
    assert np.array_equal(x, before)
    with np.errstate(over="ignore"):
        moves, rounded = np.ptp(x) >= lyapunov.STATIC_RANGE, np.round(x, 6)
    for decimals in (None, 6, 22):
        found = lyapunov.windowed_lyapunov(x[:, None], 30, decimals=decimals, **choices)
        stream = lyapunov.StreamingLyapunov(1, 30, decimals=decimals, **choices)
        stream.update(x[:, None])
        assert np.array_equal(found, stream.result(), equal_nan=True)
        if decimals is None or np.array_equal(np.where(np.isfinite(rounded), rounded, x), x):
            wanted = expected[1] - expected[0] if moves else 0.0
            np.testing.assert_allclose(found[0, 0], wanted, rtol=0, atol=1e-8)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("kind", TOO_WIDE)
def test_what_cannot_be_computed_is_nan(kind, embedding):
    choices = dict(zip(("emb_dim", "lag", "min_tsep", "steps"), embedding))
    ordinary = walks(30, 2, seed=3)
    S = lyapunov.divergence(np.column_stack([ordinary, TOO_WIDE[kind]]).T, **choices)
    assert np.array_equal(S[:2], lyapunov.divergence(ordinary.T, **choices)) and np.isnan(S[2]).all()
    exponents = lyapunov.windowed_lyapunov(np.column_stack([ordinary, TOO_WIDE[kind]]), 30, **choices)
    assert np.isfinite(exponents[0, :2]).all() and np.isnan(exponents[0, 2])


def test_exponents_do_not_depend_on_how_large_the_weights_are():
    x = walks(60, 5)
    expected = lyapunov.windowed_lyapunov(x, window=25)
    for exponent in (-10, 100, 400, 700, 1000):
        found = lyapunov.windowed_lyapunov(2.0**exponent * x, window=25)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
        S = lyapunov.divergence(2.0**exponent * x.T)
        np.testing.assert_allclose(S - exponent * LOG2, lyapunov.divergence(x.T), rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1e30, 1e38])
def test_streaming_of_float32_at_its_ends(scale):
    x = (scale * walks(40, 2) / 10).astype(np.float32)
    stream = lyapunov.StreamingLyapunov(2, 20, dtype=np.float32)
    stream.update(x)
    assert np.array_equal(stream.result(), lyapunov.windowed_lyapunov(x.astype(np.float64), 20))
    assert np.isfinite(stream.result()).all()


def test_no_index_leaves_its_array(pytestconfig):
    """In a process of its own that checks every index: one out of bounds may go unnoticed, or end the process."""
    code = """
import numpy as np
from legc_utils import lyapunov
rng = np.random.default_rng(0)
walks = rng.normal(size=(3, 40)).cumsum(axis=1)
windows = [scale * walk for walk in walks for scale in 10.0 ** np.arange(-320, 307, 19)]
windows += [scale * rng.integers(-1, 2, 40) for scale in (1.7e308, 1e303, 1e155, 1.0, 1e-160, 5e-324)]
windows += [10.0 ** rng.uniform(-300, 300, 40) for _ in range(20)]
for emb_dim, lag, min_tsep in [(1, 1, 0), (2, 1, 0), (2, 3, 10), (4, 2, 3)]:
    lyapunov.divergence(windows, emb_dim, lag, min_tsep)
    for decimals in (None, 0, 6, 22):
        choices = dict(emb_dim=emb_dim, lag=lag, min_tsep=min_tsep, decimals=decimals)
        lyapunov.windowed_lyapunov(np.transpose(windows), 30, **choices)
print("through")
"""
    # what is compiled without checks must not be taken, nor what has them left where others find it
    own = dict(NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(pytestconfig.cache.mkdir("boundscheck")))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | own)
    assert (run.returncode, run.stdout) == (0, "through\n"), run.stderr


@pytest.mark.parametrize("decimals", [23, 400, 10**6])
def test_more_decimals_than_floating_point_has_are_refused(decimals):
    for make in (
        lyapunov.StreamingLyapunov,
        lambda n, **choices: lyapunov.windowed_lyapunov(walks(40, n), 20, **choices),
    ):
        with pytest.raises(ValueError, match=f"decimals={decimals}.*22"):
            make(2, decimals=decimals)


DUPLICATES = {
    "two values": lambda rng, n: rng.integers(0, 2, n) * 1.0,
    "three values": lambda rng, n: rng.integers(0, 3, n) * 1.0,
    "to and fro": lambda rng, n: np.arange(n) % 2.0,
    "period 5": lambda rng, n: np.arange(n) % 5.0,
    "two levels for long": lambda rng, n: np.cumsum(rng.random(n) < 0.02) % 2.0,
    "a few spikes of one height": lambda rng, n: (rng.random(n) < 0.05) * 1.0,
}


@pytest.mark.parametrize("kind", DUPLICATES)
@pytest.mark.parametrize(("emb_dim", "min_tsep"), [(1, 0), (2, 0), (3, 0), (1, 10), (2, 10), (3, 10)])
def test_points_that_coincide_have_the_neighbours_of_the_definition(kind, emb_dim, min_tsep):
    for seed in range(5):
        x = DUPLICATES[kind](np.random.default_rng(seed), 120)
        expected = naive_divergence(x, emb_dim, 1, min_tsep, 3)
        found = lyapunov.divergence(x, emb_dim, 1, min_tsep)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", DUPLICATES)
@pytest.mark.parametrize("min_tsep", [0, 10])
def test_points_that_coincide_do_not_cost_a_search_each(kind, min_tsep):
    """The time of a search through all points for each point grows with the square of the window."""
    n, rng = 4000, np.random.default_rng(0)

    def seconds(x):
        lyapunov.divergence(x, min_tsep=min_tsep)
        taken = []
        for _ in range(5):
            start = time.process_time()
            lyapunov.divergence(x, min_tsep=min_tsep)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(DUPLICATES[kind](rng, n)) < 20 * seconds(walks(n, 1)[:, 0])
