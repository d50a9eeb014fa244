"""Soakhound's canary: a suite that no project has, whose truth is known.

One test fails now and then, one spoils what another finds, all others are innocent. A hunt that does
not find that out is not to be believed about any other suite.
"""

import hashlib
import os

shelf = {"apples": 3}


def test_adds():
    assert sum(range(10)) == 45


def test_borrows():
    # The polluter: it takes what it never brings back.
    shelf.pop("apples", None)
    assert "apples" not in shelf


def test_counts():
    # The victim.
    assert shelf.get("apples") == 3


def test_divides():
    assert divmod(17, 5) == (3, 2)


def test_draws():
    # The coin: one seed in a hundred fails. The shard sets it.
    seed = os.environ.get("SOAKHOUND_COIN", "").encode("ascii")
    assert int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") % 100 != 0


def test_joins():
    assert "-".join("abc") == "a-b-c"


def test_reads():
    with open(__file__, encoding="utf-8") as file:
        assert file.readline().startswith('"""')


def test_sorts():
    assert sorted([3, 1, 2]) == [1, 2, 3]


def test_splits():
    assert "a b c".split() == ["a", "b", "c"]


def test_turns():
    assert list(reversed("abc")) == ["c", "b", "a"]
