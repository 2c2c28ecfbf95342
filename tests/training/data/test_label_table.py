"""Labels on disk."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from training.data.label_table import LabelTable, load_faces


def table(count: int, seed: int) -> LabelTable:
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, 2)).astype(np.float32)
    values[0, 1] = np.nan
    return LabelTable(("yaw", "smile"), values, random.normal(size=(count, 128)), random.random((count, 6)))


def test_shards_with_labels_become_one_table_in_order(tmp_path: Path) -> None:
    faces, labels = tmp_path / "faces", tmp_path / "labels"
    faces.mkdir()
    labels.mkdir()
    tables = {k: table(3, k) for k in (0, 2, 3)}
    for k in range(4):
        save_file({"codes": np.full((3, 4, 5), float(k))}, faces / f"{k:03d}.safetensors")
        if k in tables:
            tables[k].save(labels / f"{k:03d}.npz")
    codes, joined = load_faces(faces, labels, 0, 3)
    np.testing.assert_array_equal(codes[:, 0, 0], [0, 0, 0, 2, 2, 2])
    np.testing.assert_array_equal(joined.column("smile")[3:], tables[2].values[:, 1])
    np.testing.assert_allclose(joined.identity[:3], tables[0].identity, rtol=1e-6)
    assert len(joined) == 6
    with pytest.raises(ValueError, match="shards 1 to 1"):
        load_faces(faces, labels, 1, 2)


def test_a_table_whose_parts_differ_in_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 names"):
        LabelTable(("yaw", "smile"), np.zeros((3, 3)), np.zeros((3, 128)), np.zeros((3, 6)))
