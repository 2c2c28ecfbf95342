"""Pictures, projects, reports, bundles: on a full disk, and of a process that is killed as it writes them."""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.checkpoints import load_bundle
from tests.core.writing import kinds

ROOT = Path(__file__).resolve().parents[2]
FILES = ("picture.png", "picture.jpg", "visit.visagist", "report.json")
KINDS = (*FILES, "bundle")
# Fewer than each kind of file has.
LIMIT = 1000


@pytest.fixture
def old(tmp_path: Path, refining_bundle_dir: Path) -> Path:
    """A folder that holds one of each already; another bundle than the one that is written."""
    folder = tmp_path / "old"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(b"old " + name.encode())
    shutil.copytree(refining_bundle_dir, folder / "bundle")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def writing(*command: object) -> list[dict[str, Any]]:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_kind_of_file_stays_whole(old: Path, tiny_bundle_dir: Path, refining_bundle_dir: Path) -> None:
    before = contents(old)
    module = [sys.executable, "-m", "tests.core.writing"]
    lines = writing(*module, old, tiny_bundle_dir, LIMIT, "full", "killed")
    both = itertools.product(("full", "killed"), KINDS)
    assert [(line["ending"], line["kind"]) for line in lines] == list(both)
    for line in lines:
        if line["ending"] == "killed":
            assert line["said"] == "killed"
            assert 0 <= max(line["parts"]) <= LIMIT
        else:
            assert "File too large" in line["said"]  # what the system calls it here
            assert line["parts"] == []
    # safetensors has a hidden file of its own, which a kill leaves.
    assert {name: content for name, content in contents(old).items() if "/.tmp" not in name} == before
    assert load_bundle(old / "bundle").fingerprint == load_bundle(refining_bundle_dir).fingerprint
    # It is not the writing that fails.
    for write in kinds(old, tiny_bundle_dir).values():
        write()
    assert load_bundle(old / "bundle").fingerprint == load_bundle(tiny_bundle_dir).fingerprint
    assert all(contents(old)[name] != before[name] for name in FILES)


def test_a_disk_that_is_really_full(old: Path, tiny_bundle_dir: Path, tmp_path: Path) -> None:
    alone = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode != 0:
        pytest.skip("this system lets nobody mount a disk of their own")
    disk, after = tmp_path / "disk", tmp_path / "after"
    disk.mkdir()
    # Room for what is there, in pages, and for hardly more.
    kib = sum(4 * -(-len(content) // 4096) for content in contents(old).values()) + 8
    words = [sys.executable, "-m", "tests.core.writing", disk, tiny_bundle_dir, 0, "full"]
    script = (
        f"mount -t tmpfs -o size={kib}k none {disk} && cp -r {old}/. {disk} && "
        f"{shlex.join(str(word) for word in words)} && cp -r {disk} {after}"
    )
    lines = writing(*alone, "sh", "-c", script)
    assert [line["kind"] for line in lines] == list(KINDS)
    for line in lines:
        assert "No space left" in line["said"]
        assert line["parts"] == []
    assert contents(after) == contents(old)
