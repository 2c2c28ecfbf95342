import hashlib

import numpy as np
import pytest

from core.faces.dlib_file import read_tensors, scan_tensors


def integer(value: int) -> bytes:
    width = max(1, (value.bit_length() + 7) // 8)
    return bytes([width]) + value.to_bytes(width, "little")


def tensor(numbers: np.ndarray, shape: tuple[int, int, int, int]) -> bytes:
    assert np.prod(shape) == numbers.size
    return b"".join(integer(n) for n in (2, *shape)) + numbers.astype("<f4").tobytes()


def test_tensors_are_found_between_other_bytes() -> None:
    first, second = np.arange(12.0), np.arange(300.0) / 7
    raw = b"\x03net" + tensor(first, (3, 1, 2, 2)) + b"\x02\x01" * 9 + tensor(second, (300, 1, 1, 1)) + b"end"

    found = scan_tensors(raw, [12, 300])

    np.testing.assert_array_equal(found[0], first.astype(np.float32))
    np.testing.assert_array_equal(found[1], second.astype(np.float32))


def test_what_only_looks_like_a_tensor_is_passed_over() -> None:
    # A head of the right version and another length, whose numbers would swallow the true one.
    wanted = np.linspace(-1, 1, 20)
    raw = b"".join(integer(n) for n in (2, 5, 1, 7, 1)) + tensor(wanted, (20, 1, 1, 1)) + bytes(200)

    (found,) = scan_tensors(raw, [20])

    np.testing.assert_array_equal(found, wanted.astype(np.float32))


def test_a_missing_or_cut_tensor_is_named() -> None:
    raw = tensor(np.zeros(12), (12, 1, 1, 1))

    with pytest.raises(ValueError, match="Tensor 1 of 2 is missing"):
        scan_tensors(raw, [12, 12])
    with pytest.raises(ValueError, match="Tensor 0 of 1 is missing"):
        scan_tensors(raw[:-1], [12])


def test_another_file_is_refused(tmp_path) -> None:
    raw = tensor(np.zeros(12), (12, 1, 1, 1))
    path = tmp_path / "network.dat"
    path.write_bytes(raw)

    assert len(read_tensors(path, hashlib.sha256(raw).hexdigest(), [12])) == 1
    path.write_bytes(raw + b"\0")
    with pytest.raises(ValueError, match=r"network\.dat is not the file"):
        read_tensors(path, hashlib.sha256(raw).hexdigest(), [12])
