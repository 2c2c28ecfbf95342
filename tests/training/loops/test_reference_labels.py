"""The table that reference editors are taught by, and who tells it from codes."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from training.data.hair_shapes import SHAPE, SQUARES, TEXTURES
from training.data.label import NAMES
from training.data.label_table import LabelTable
from training.loops.directions import IDENTITY, SURROUND
from training.loops.reference_groups import GROUPS, OUTLINES
from training.loops.reference_labels import fit_tellers, load_told, report

COUNT, L, D = 90, 3, 8


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Two shards; the hair of the second was not measured."""
    random = np.random.default_rng(0)
    axes = random.normal(size=(D, len(NAMES) + SHAPE))
    found = {name: tmp_path / name for name in ("gen", "labels", "shapes")}
    for folder in found.values():
        folder.mkdir()
    for k in range(2):
        codes = random.normal(size=(COUNT, L, D)).astype(np.float32)
        said = np.exp(0.1 * codes.mean(1) @ axes)
        values = said[:, : len(NAMES)].astype(np.float32)
        if k == 0:
            values[0] = np.nan
            np.save(found["shapes"] / "000.npy", said[:, len(NAMES) :].astype(np.float32))
        table = LabelTable(NAMES, values, random.normal(size=(COUNT, 128)), random.normal(size=(COUNT, 40)))
        table.save(found["labels"] / f"{k:03d}.npz")
        save_file({"codes": codes}, found["gen"] / f"{k:03d}.safetensors")
    return found


def test_labels_and_components_stand_in_deviations(folders: dict[str, Path]) -> None:
    told = load_told(folders["gen"], folders["labels"], folders["shapes"], 2)
    assert told.codes.shape == (2 * COUNT, L, D)
    assert len(told.names) == len(NAMES) + IDENTITY + SURROUND + len(OUTLINES) + len(TEXTURES)
    wanted = told.wanted.numpy()
    assert np.nanmean(wanted, 0) == pytest.approx(0, abs=1e-4)
    assert np.nanstd(wanted, 0) == pytest.approx(1, abs=1e-4)
    assert np.isnan(wanted[0, : len(NAMES)]).all()
    hair = [told.names.index(name) for name in (*OUTLINES, *TEXTURES)]
    assert np.isnan(wanted[COUNT:, hair]).all()
    assert not np.isnan(wanted[1:COUNT, hair]).any()
    # Labels count in full; components as much as they say: the first of the outline most, the last least.
    shares = dict(zip(told.names, told.shares.tolist(), strict=True))
    assert all(shares[name] == 1 for name in (*NAMES, *TEXTURES))
    assert 1 == shares[OUTLINES[0]] > shares[OUTLINES[-1]] > 0
    assert {name for group in GROUPS for name in group.targets} <= set(told.names)
    assert SQUARES**2 + len(TEXTURES) == SHAPE


def test_tellers_differ_by_their_seeds_and_learn_what_is_known(folders: dict[str, Path]) -> None:
    told = load_told(folders["gen"], folders["labels"], folders["shapes"], 2)
    first, second = fit_tellers(told, 2, epochs=60, noise=0.1)
    assert not bool((first(told.codes) == second(told.codes)).all())
    smile = next(line for line in report(first, told).splitlines() if line.startswith("smile "))
    assert float(smile.split()[-1]) > 0.8
