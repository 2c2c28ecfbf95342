import dataclasses

import numpy as np
import pytest
import torch

from core.models.reference_editor import ReferenceEditor, slot_attention
from core.network_config import ReferenceEditorConfig

CONFIG = ReferenceEditorConfig(num_codes=5, attributes=("smile",), w_dim=12, width=8, heads=2)


@pytest.fixture
def editor() -> ReferenceEditor:
    torch.manual_seed(0)
    return ReferenceEditor(CONFIG).double()


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def plain(editor: ReferenceEditor, source: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """T(w_s, w_r) - T(w_s, w_s) of one pair (L, D), head by head, from matrices alone."""
    p = {name: value.detach().numpy() for name, value in editor.state_dict().items()}

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ p[f"{name}.weight"].T + p.get(f"{name}.bias", 0)

    def heads(x: np.ndarray) -> list[np.ndarray]:
        return np.split(x, CONFIG.heads, axis=1)

    size = CONFIG.width // CONFIG.heads
    tokens = linear("source", source) + p["places"][0]
    q, k, v = np.split(tokens @ p["self_attention.in_proj_weight"].T + p["self_attention.in_proj_bias"], 3, 1)
    own = [softmax(a @ b.T / size**0.5, 1) @ c for a, b, c in zip(heads(q), heads(k), heads(v), strict=True)]
    query = linear("query", tokens + linear("self_attention.out_proj", np.hstack(own)))

    def transfer(codes: np.ndarray) -> np.ndarray:
        other = linear("reference", codes) + p["places"][1]
        read = []
        for q, k, v in zip(
            heads(query), heads(linear("key", other)), heads(linear("value", other)), strict=True
        ):
            weights = softmax(q @ k.T / size**0.5, 0)  # every value is shared out among the queries
            read.append(weights / weights.sum(1, keepdims=True) @ v)
        return linear("out", np.hstack(read))

    return transfer(reference) - transfer(source)


def test_a_step_is_what_the_plain_formula_gives(editor: ReferenceEditor) -> None:
    source, reference = torch.randn(2, 3, 5, 12, dtype=torch.float64)
    step = editor(source, reference).detach().numpy()
    assert np.abs(step).max() > 0.01
    for i in range(3):
        expected = plain(editor, source[i].numpy(), reference[i].numpy())
        np.testing.assert_allclose(step[i], expected, rtol=1e-10, atol=1e-12)


def test_a_face_that_takes_from_itself_stays_as_it_is() -> None:
    torch.manual_seed(0)
    editor = ReferenceEditor(CONFIG)
    code = torch.randn(1, 5, 12)
    assert not editor(code, code.clone()).any()
    assert editor(code, code + 1e-3).any()


def test_it_moves_the_codes_that_it_is_for_and_none_too_far(editor: ReferenceEditor) -> None:
    editor.moved[[0, 3]] = 0
    source, reference = torch.randn(2, 3, 5, 12, dtype=torch.float64)
    plain_step = editor(source, reference)
    assert plain_step.any(2)[0].tolist() == [False, True, True, False, True]
    bounded = ReferenceEditor(dataclasses.replace(CONFIG, longest=0.2)).double()
    bounded.load_state_dict(editor.state_dict())
    for step, before in zip(bounded(source, reference).flatten(0, 1), plain_step.flatten(0, 1), strict=True):
        length = before.norm()
        torch.testing.assert_close(step, before * 0.2 / (0.04 + length**2).sqrt())
        assert step.norm() < 0.2
    assert not bounded(source, source.clone()).any()


def test_slot_attention_shares_each_value_out_among_the_queries() -> None:
    # The second query wins both values; the first gets next to nothing of either, yet its weights sum to one.
    query = torch.tensor([[0.0], [4.0]])
    key, value = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    read = slot_attention(query, key, value)
    a, b = 1 / (1 + np.exp(4)), 1 / (1 + np.exp(8))  # softmax over the two queries, for each key
    expected = [[a / (a + b), b / (a + b)], [(1 - a) / (2 - a - b), (1 - b) / (2 - a - b)]]
    torch.testing.assert_close(read, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=1e-5)


def test_a_query_that_wins_nothing_gives_nothing_and_no_nan() -> None:
    query = torch.tensor([[-1e6], [1e6]])
    read = slot_attention(query, torch.ones(2, 1), torch.ones(2, 3))
    torch.testing.assert_close(read, torch.tensor([[0.0] * 3, [1.0] * 3]))


def test_paper_size_has_the_parameters_the_layer_widths_force() -> None:
    config = ReferenceEditorConfig(num_codes=18, attributes=("bangs",))
    with torch.device("meta"):
        count = sum(p.numel() for p in ReferenceEditor(config).parameters())
    square = 512 * 512
    # Both entrances, three projections, the way out; self-attention's four; places; the biases there are.
    assert count == 6 * square + 4 * square + 2 * 18 * 512 + (2 + 4) * 512


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 9}, "Editor width 9 must be divisible by num_heads 2"),
        ({"width": 0}, "Editor width 0"),
        ({"attributes": ("age", "age")}, "one reference editor"),
        ({"labels": ("Age", "Youth")}, "2 labels do not name 1"),
        ({"labels": (7,)}, "label is a text"),
        ({"longest": 0}, "longest step is above 0"),
        ({"regions": ("hair", "")}, "2 regions do not suit 1"),
        ({"regions": ("hat",)}, "region is one of hair, tint, eyes"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(change: dict[str, object], words: str) -> None:
    known = {"num_codes": 5, "attributes": ("age",), "w_dim": 12, "width": 8, "heads": 2}
    with pytest.raises(ValueError, match=words):
        ReferenceEditorConfig(**{**known, **change})
