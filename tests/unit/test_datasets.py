"""The data sets: sizes, splits, scaling, and what happens when a file is missing or wrong."""

import errno
import hashlib
import shutil

import numpy as np
import pooch
import pytest
from sklearn.datasets import load_iris

from legc_utils import datasets, protocols

retrieve = pooch.retrieve
SIZES = {  # (train rows, test rows, features, classes); the paper's k/N accuracies fix the test sizes
    "cancer": (546, 137, 9, 2),
    "titanic": (891, 418, 6, 2),
    "banknote": (1097, 275, 4, 2),
    "iris": (120, 30, 4, 3),
    "iris3f": (120, 30, 3, 3),
    "vowel": (741, 130, 3, 6),
    "mnist5k": (3500, 1500, 784, 10),
    "wine": (142, 36, 13, 3),
    "wdbc": (455, 114, 30, 2),
    "digits": (1437, 360, 64, 10),
}
SMALL = ("cancer", "titanic", "banknote", "iris", "iris3f")


def load(name, *args, **kwargs):
    if reason := datasets.unavailable(name):
        pytest.skip(reason)
    return datasets.load(name, *args, **kwargs)


def unscaled(name, protocol, seed=0):
    return load(name, protocols.get(protocol, name, scaling="none"), seed)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty data folder, an empty cache and no network; returns the (existing) data folder."""
    folder, cache = tmp_path / "data", tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("LEGC_DATA_DIR", str(folder))
    monkeypatch.setattr(pooch, "os_cache", lambda _: cache)

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    return folder


def test_other_splits_differ_from_the_published_one_in_that_alone():
    published = datasets.load("iris", "published", seed=3)
    same, other = (datasets.load("iris", "resplit", seed=seed) for seed in (datasets.SPLIT_SEED, 3))
    for part in ("X_train", "y_train", "X_test", "y_test"):
        assert np.array_equal(getattr(same, part), getattr(published, part))
        assert getattr(other, part).shape == getattr(published, part).shape
    assert not np.array_equal(other.y_test, published.y_test)
    one, two = protocols.get("published", "iris"), protocols.get("resplit", "iris")
    assert protocols.get(two, name="published", resplit=False) == one and two.resplit


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("name", SIZES)
def test_sizes_types_and_classes(name, protocol):
    split = load(name, protocol)
    n_train, n_test, n_features, n_classes = SIZES[name]
    assert split.X_train.shape == (n_train, n_features)
    assert split.X_test.shape == (n_test, n_features)
    assert split.y_train.shape == (n_train,)
    assert split.y_test.shape == (n_test,)
    assert split.X_train.dtype == split.X_test.dtype == np.float64
    assert split.y_train.dtype == split.y_test.dtype == np.int64
    assert np.isfinite(split.X_train).all() and np.isfinite(split.X_test).all()
    assert len(split.feature_names) == n_features and all(type(f) is str for f in split.feature_names)
    assert len(split.class_names) == n_classes and all(type(c) is str for c in split.class_names)
    assert set(split.y_train) == set(split.y_test) == set(range(n_classes))
    assert split.name == name


CLASSES = [("cancer", 444, 239), ("titanic", 809, 500), ("banknote", 762, 610)]


@pytest.mark.parametrize(("name", "zeros", "ones"), CLASSES)
def test_class_counts_are_those_of_the_source(name, zeros, ones):
    split = datasets.load(name)
    assert np.bincount(np.r_[split.y_train, split.y_test]).tolist() == [zeros, ones]


def test_mnist5k_holds_raw_pixels_and_every_digit_500_times():
    split = datasets.load("mnist5k")
    assert (split.X_train.min(), split.X_train.max()) == (0, 255)
    assert set(np.bincount(np.r_[split.y_train, split.y_test])) == {500}


@pytest.mark.parametrize("name", ["cancer", "titanic", "banknote"])
def test_published_scaling_standardises_each_sample(name):
    raw, split = unscaled(name, "published"), datasets.load(name)
    for X, R in ((split.X_train, raw.X_train), (split.X_test, raw.X_test)):
        varied = R.std(axis=1) > 0
        np.testing.assert_allclose(X.mean(axis=1), 0, atol=1e-12)
        np.testing.assert_allclose(X[varied].std(axis=1), 1, atol=1e-12)
        assert (X[~varied] == 0).all()


@pytest.mark.parametrize("name", ["iris", "iris3f"])
def test_published_iris_is_scaled_per_feature_each_part_by_itself(name):
    split = datasets.load(name)
    for X in (split.X_train, split.X_test):
        np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(X.std(axis=0), 1, atol=1e-12)


def test_published_vowel_is_scaled_to_0_1_each_part_by_itself():
    split = load("vowel")
    for X in (split.X_train, split.X_test):
        np.testing.assert_allclose([X.min(axis=0), X.max(axis=0)], [[0] * 3, [1] * 3], atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_corrected_scaling_is_fitted_on_the_training_set_only(name):
    raw, split = unscaled(name, "corrected", seed=3), datasets.load(name, "corrected", seed=3)
    mean, sd = raw.X_train.mean(axis=0), raw.X_train.std(axis=0)
    np.testing.assert_allclose(split.X_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(split.X_train, (raw.X_train - mean) / sd, atol=1e-12)
    np.testing.assert_allclose(split.X_test, (raw.X_test - mean) / sd, atol=1e-12)
    assert np.abs(split.X_test.mean(axis=0)).max() > 1e-3  # not by its own statistics


@pytest.mark.parametrize("name", SMALL)
def test_published_split_ignores_the_seed(name):
    a, b = datasets.load(name, seed=0), datasets.load(name, seed=1)
    assert np.array_equal(a.X_train, b.X_train) and np.array_equal(a.X_test, b.X_test)
    assert np.array_equal(a.y_train, b.y_train) and np.array_equal(a.y_test, b.y_test)


@pytest.mark.parametrize("name", SMALL)
def test_corrected_split_is_stratified_and_drawn_from_the_seed(name):
    a, again, b = (datasets.load(name, "corrected", seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(a.X_train, again.X_train) and np.array_equal(a.X_test, again.X_test)
    assert not np.array_equal(a.X_train, b.X_train)
    share = np.bincount(np.r_[a.y_train, a.y_test]) / (len(a.y_train) + len(a.y_test))
    for y in (a.y_train, a.y_test, b.y_train, b.y_test):
        assert np.abs(np.bincount(y) - share * len(y)).max() <= 1


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("name", SMALL)
def test_every_row_is_in_exactly_one_part(name, protocol):
    split = unscaled(name, protocol, seed=5)
    X, y, *_ = datasets._raw(name, uci_iris=protocol != "corrected")
    rows = np.column_stack([np.r_[split.X_train, split.X_test], np.r_[split.y_train, split.y_test]])
    wanted = np.column_stack([X, y]).astype(float)
    assert np.array_equal(rows[np.lexsort(rows.T)], wanted[np.lexsort(wanted.T)])


def test_published_iris_is_the_authors_shuffle_of_ucis_file():
    X, y = load_iris(return_X_y=True)
    X[[34, 37]] = 4.9, 3.1, 1.5, 0.1  # the two rows that UCI's file has wrong
    table = np.column_stack([X, y])
    np.random.RandomState(42).shuffle(table)
    split = unscaled("iris", "published")
    assert np.array_equal(np.column_stack([split.X_train, split.y_train]), table[:120])
    assert np.array_equal(np.column_stack([split.X_test, split.y_test]), table[120:])
    corrected = unscaled("iris", "corrected")
    fisher = load_iris().data  # ... and the corrected protocol has Fisher's own numbers
    assert np.array_equal(np.sort(np.r_[corrected.X_train, corrected.X_test], axis=0), np.sort(fisher, axis=0))


def test_iris3f_is_iris_without_its_second_feature():
    whole, three = unscaled("iris", "published"), unscaled("iris3f", "published")
    assert np.array_equal(three.X_train, whole.X_train[:, [0, 2, 3]])
    assert three.feature_names == tuple(np.array(whole.feature_names)[[0, 2, 3]])


@pytest.mark.parametrize("function", [datasets.load, datasets.fetch, datasets.unavailable])
def test_unknown_name_lists_every_name(function):
    with pytest.raises(ValueError, match="irish") as error:
        function("irish")
    assert all(name in str(error.value) for name in protocols.DATASETS)


def test_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="publishd"):
        datasets.load("iris", "publishd")


@pytest.mark.parametrize("name", ["vowel", "mnist"])
def test_missing_download_says_how_to_get_it(offline, name):
    with pytest.raises(FileNotFoundError) as error:
        datasets.load(name)
    file, sha256, url = datasets.files(name)[0]
    assert all(part in str(error.value) for part in (file, sha256, url, "LEGC_DATA_DIR"))


def test_unavailable_says_why_and_never_downloads(offline, monkeypatch):
    monkeypatch.setattr(pooch, "retrieve", lambda *args, **kwargs: pytest.fail("tried to download"))
    reason = datasets.unavailable("vowel")
    assert "vowel" in reason and "LEGC_DATA_DIR" in reason and "\n" not in reason
    assert datasets.unavailable("cancer") is None


def test_packaged_data_needs_neither_folder_nor_network(offline):
    assert datasets.load("cancer").X_train.shape == (546, 9)
    assert datasets.load("mnist5k").X_train.shape == (3500, 784)


def test_corrupt_file_is_refused_with_both_checksums(offline):
    (offline / "wisconsin_original.csv").write_bytes(b"not the data")
    with pytest.raises(ValueError, match="corrupt") as error:
        datasets.load("cancer")
    ((_, expected, _),) = datasets.files("cancer")
    assert expected in str(error.value) and hashlib.sha256(b"not the data").hexdigest() in str(error.value)


def test_good_file_in_the_data_folder_is_used(offline):
    shutil.copy(datasets.PACKAGED / "wisconsin_original.csv", offline)
    assert datasets.fetch("cancer") == [offline / "wisconsin_original.csv"]
    assert datasets.load("cancer").X_train.shape == (546, 9)


def test_a_data_folder_in_the_home_is_found(offline, monkeypatch):
    shutil.copy(datasets.PACKAGED / "wisconsin_original.csv", offline)
    monkeypatch.setenv("HOME", str(offline.parent))
    for named in (f"~/{offline.name}", f"~/{offline.name}/"):
        monkeypatch.setenv("LEGC_DATA_DIR", named)
        assert datasets.fetch("cancer") == [offline / "wisconsin_original.csv"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("~/nowhere", "{0}/nowhere, which LEGC_DATA_DIR names, does not exist"),
        ("{0}/nowhere", "{0}/nowhere, which LEGC_DATA_DIR names, does not exist"),
        ("~nobody-of-this-name/data", "~nobody-of-this-name/data, which LEGC_DATA_DIR names, does not exist"),
        ("{0}/file", "{0}/file, which LEGC_DATA_DIR names, is not a folder"),
        ("{0}/file/data", "{0}/file/data, which LEGC_DATA_DIR names, does not exist"),
        ("{0}/link", "{0}/link, which LEGC_DATA_DIR names, does not exist"),
    ],
)
def test_a_data_folder_that_is_none_is_named(offline, monkeypatch, named, said):
    home = offline.parent
    (home / "file").touch(), (home / "link").symlink_to("nothing")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LEGC_DATA_DIR", named.format(home))
    monkeypatch.setattr(pooch, "retrieve", lambda *args, **kwargs: pytest.fail("tried to download"))
    for download in (True, False):
        with pytest.raises(FileNotFoundError) as error:
            datasets.fetch("vowel", download)
        assert said.format(home) in str(error.value)
    assert said.format(home) in datasets.unavailable("vowel")
    assert datasets.load("cancer").X_train.shape == (546, 9)  # what ships needs no folder


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        PermissionError("Pooch could not create data cache folder"),  # without a number: pooch says it in its words
        None,  # pooch's own, of a file where the cache should be
    ],
    ids=["full", "read-only", "forbidden", "a file"],
)
def test_a_cache_that_cannot_be_written_is_no_failed_download(offline, monkeypatch, tmp_path, fault):
    if fault is None:
        (tmp_path / "cache").touch()
        monkeypatch.setattr(pooch, "retrieve", retrieve)
    else:
        monkeypatch.setattr(pooch, "retrieve", lambda *args, **kwargs: (_ for _ in ()).throw(fault))
    reason = datasets.unavailable("vowel", download=True)
    assert f"could not be written to {tmp_path}/cache" in reason and str(fault or "Not a directory") in reason
    assert "download" not in reason and "\n" not in reason and "LEGC_DATA_DIR" in reason


def test_downloaded_file_is_used(offline, monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "retrieve", lambda url, sha, fname, path, **_: str(tmp_path / fname))
    assert datasets.fetch("vowel") == [tmp_path / "telugu_vowel.csv"]


def test_checksums_identify_the_data():
    sums = [datasets.checksum(name) for name in protocols.DATASETS]
    assert len(set(sums)) == len(sums) and all(len(s) == 64 for s in sums)
    assert datasets.checksum("iris") == datasets.checksum("iris")
