import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.rendering.waiting import LOOKS, wait_briefly

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_set_by_hand_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "7")
    wait_briefly()
    assert {key: os.environ.get(key) for key in NAMES} == {key: "7" if key == name else None for key in NAMES}


def test_the_command_line_says_so_before_torch_is_there() -> None:
    script = (
        "import os, sys, launch; launch.main(['--help']); "
        "print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ran.stderr.split() == [LOOKS, "False"]
