"""Eqs. 4 and 5: the streamed search, and a gradient without the similarity matrix."""

import pytest
import torch

from histoscale.models.base import count_parameters
from histoscale.models.iste import fusion
from histoscale.models.iste.fusion import SelfTextureFusion, most_similar, similarity, unit


@pytest.fixture
def rows():
    return torch.randn(2, 7, 6, dtype=torch.float64), torch.randn(2, 23, 6, dtype=torch.float64)


def test_the_search_equals_the_loops(literal, rows):
    queries, keys = rows
    found = most_similar(queries, [unit(keys)])
    for image in range(2):
        for i, query in enumerate(queries[image]):
            assert found[image, i] == literal.most_similar(query, list(keys[image]))


def test_blocks_do_not_change_the_winner(rows, monkeypatch):
    queries, keys = rows
    whole = most_similar(queries, [unit(keys)])
    monkeypatch.setattr(fusion, "_QUERIES_PER_BLOCK", 3)
    monkeypatch.setattr(fusion, "_KEYS_PER_BLOCK", 4)
    assert torch.equal(whole, most_similar(queries, unit(keys).split(5, dim=1)))


def test_the_first_of_equal_keys_wins(monkeypatch):
    monkeypatch.setattr(fusion, "_KEYS_PER_BLOCK", 2)
    key = torch.tensor([3.0, 4.0])
    keys = unit(torch.stack([-key, key, key, key])[None])
    assert most_similar(key[None, None], [keys]).item() == 1


def test_fusion_equals_the_loops(literal, rows):
    queries, keys = rows
    module = SelfTextureFusion(6).double()
    retrieved = torch.gather(keys, 1, most_similar(queries, [unit(keys)])[..., None].expand(-1, -1, 6))
    found = module(queries, retrieved)
    for image in range(2):
        for i, query in enumerate(queries[image]):
            assert torch.allclose(found[image, i], literal.fuse(module, query, list(keys[image])), atol=1e-12)


def test_gradient_is_that_of_the_maximum(rows):
    queries, keys = (x[0].requires_grad_() for x in rows)
    matrix = torch.nn.functional.normalize(queries, dim=1) @ torch.nn.functional.normalize(keys, dim=1).T
    expected = torch.autograd.grad(matrix.max(dim=1).values.pow(2).sum(), (queries, keys))
    winner = most_similar(queries[None], [unit(keys)[None]])[0]
    found = torch.autograd.grad(similarity(queries, keys[winner]).pow(2).sum(), (queries, keys))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-14)


def test_gradcheck(rows):
    module = SelfTextureFusion(6).double()
    queries, keys = (x[0, :4].requires_grad_() for x in rows)
    assert torch.autograd.gradcheck(module, (queries, keys))


def test_similarity_keeps_single_precision_under_autocast():
    a, b = torch.randn(5, 64), torch.randn(5, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(similarity(a, b)[:, 0], torch.cosine_similarity(a, b), atol=1e-6)
        assert unit(a).dtype == torch.bfloat16
    assert unit(a.bfloat16()).dtype == torch.float32


def test_a_zero_row_is_similar_to_nothing():
    assert similarity(torch.zeros(1, 4), torch.ones(1, 4)).item() == 0


def test_parameters():
    assert count_parameters(SelfTextureFusion()) == 131_072
