"""Benchmarks that wait for a device are tried out without one."""

from benchmarks import gpu


def test_the_benchmark_gpu_runs_on_the_cpu():
    report = gpu.run(["--device", "cpu", "--images", "3", "--kernel-size", "3"])
    assert "| 3 | firstlight, exact, float32 | 3 |" in report
    assert "| 3 | pca_lowrank, float64 | 3 |" in report
