import jax
import pytest

from ctc_jax.training.mesh import data_mesh
from ctc_jax.training.votes import Votes


def test_a_process_alone_is_heard_at_once():
    asked = iter([False, True])
    votes = Votes(lambda: next(asked), data_mesh(), behind=2)
    assert [votes(), votes()] == [False, True]


@pytest.mark.parametrize("behind", [0, 2])
def test_with_others_a_vote_is_counted_some_calls_later(monkeypatch, behind):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    asked = iter([False, True, False, False, False])
    votes = Votes(lambda: next(asked), data_mesh(), behind)
    assert [votes() for _ in range(5)] == [call == 1 + behind for call in range(5)]
