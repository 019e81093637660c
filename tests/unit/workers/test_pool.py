"""How the night's workers are laid out; what they do when rows fail is in tests/faults."""

from __future__ import annotations

import pytest

from nada.errors import ImageError
from tasks.workers.pool import RowFailedError, WorkerSpec, plan_workers, rebuilt_error


def test_a_cpu_gets_a_worker_per_core_while_rows_last() -> None:
    assert plan_workers(["cpu"], cores=8, workers=None, num_rows=100) == [WorkerSpec(device="cpu", threads=1)] * 8
    assert plan_workers(["cpu"], cores=8, workers=None, num_rows=2) == [WorkerSpec(device="cpu", threads=1)] * 2


@pytest.mark.parametrize("workers", [None, 1, 3])
@pytest.mark.parametrize("num_rows", [1, 2, 100])
@pytest.mark.parametrize("cores", [1, 2, 8])
def test_a_row_has_the_same_threads_whatever_the_workers_rows_and_cores(
    workers: int | None, num_rows: int, cores: int
) -> None:
    specs = plan_workers(["cpu"], cores=cores, workers=workers, num_rows=num_rows)
    assert {spec.threads for spec in specs} == {1}
    assert workers is None or len(specs) == workers


def test_a_gpu_gets_one_worker_whatever_the_cores() -> None:
    specs = plan_workers(["cuda:0", "cuda:1"], cores=16, workers=None, num_rows=100)
    assert [(spec.device, spec.threads) for spec in specs] == [("cuda:0", 8), ("cuda:1", 8)]


def test_several_workers_may_share_each_gpu_and_the_first_rows_spread_over_all() -> None:
    specs = plan_workers(["cuda:0", "cuda:1"], cores=8, workers=2, num_rows=100)
    assert [(spec.device, spec.threads) for spec in specs] == [(f"cuda:{index}", 2) for index in (0, 1, 0, 1)]


def test_a_machine_of_one_core_has_a_worker() -> None:
    assert plan_workers(["cpu"], cores=1, workers=None, num_rows=0) == [WorkerSpec(device="cpu", threads=1)]


def test_bad_input_found_by_a_worker_keeps_its_kind() -> None:
    error = rebuilt_error("ImageError", "a.png: damaged", "traceback")
    assert type(error) is ImageError
    assert str(error) == "a.png: damaged"


def test_an_unforeseen_error_of_a_row_names_its_type() -> None:
    error = rebuilt_error("ZeroDivisionError", "division by zero", "the traceback")
    assert isinstance(error, RowFailedError)
    assert str(error) == "ZeroDivisionError: division by zero"
    assert error.details == "the traceback"


def test_our_own_errors_speak_for_themselves() -> None:
    assert str(rebuilt_error("NonFiniteLossError", "step 3: the loss is nan", "")) == "step 3: the loss is nan"
