"""The text: the same on every call, refused where tables are wanted, and cut so that no sample tells another."""

import pytest
import torch

from legc_utils import datasets
from study import parameters, sparsity, texts

PARAMETERS = {"dataset": "pydoc", "protocol": "published", "seeds": [0], "out_dir": "results"}


def test_pydoc_is_a_long_plain_text_that_stays_the_same():
    text = texts.load("pydoc")
    assert text.isascii() and len(text) > 100_000 and "def" in text and "\r" not in text
    assert text == texts.load("pydoc")
    assert texts.checksum("pydoc") == texts.checksum("pydoc") and len(texts.checksum("pydoc")) == 64
    assert texts.checksum("iris") == datasets.checksum("iris") and texts.unavailable("pydoc") is None


def test_unknown_texts_are_refused_with_the_names():
    with pytest.raises(ValueError, match="text='shakespeare' is unknown; allowed: pydoc"):
        texts.load("shakespeare")


def test_a_text_is_no_table():
    with pytest.raises(ValueError, match="dataset='pydoc' is not allowed; give one of cancer"):
        datasets.load("pydoc")
    with pytest.raises(ValueError, match="dataset='pydoc' is not allowed; give one of cancer.*"):
        parameters.choose(PARAMETERS)


def test_every_piece_is_in_one_part_and_its_answer_is_one_character_ahead():
    text = "".join(chr(97 + k % 26) for k in range(5 * 23))
    task, characters = sparsity.text_task(text, context=4)
    assert characters == tuple("abcdefghijklmnopqrstuvwxyz")
    assert task.X_train.shape == task.y_train.shape == (21, 4) and task.X_test.shape == task.y_test.shape == (2, 4)
    assert torch.equal(task.X_train[:, 1:], task.y_train[:, :-1])
    assert torch.equal((task.X_train + 1) % 26, task.y_train)
    read = lambda X, y: {"".join(characters[k] for k in [*a, b[-1]]) for a, b in zip(X.tolist(), y.tolist())}
    pieces = {text[k : k + 5] for k in range(0, len(text), 5)}
    assert read(*task[:2]) | read(*task[2:]) == pieces and len(pieces) == 23


def test_too_short_a_text_is_refused():
    with pytest.raises(ValueError, match="the text has 12 characters; allowed: at least 50"):
        sparsity.text_task("abc" * 4, context=4)
