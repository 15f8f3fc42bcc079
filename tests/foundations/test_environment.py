"""What is said of the machine, also where the system is another than Linux."""

import os
import platform

from kerastickets.foundations import environment


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert environment.cores() == 3


def test_a_system_without_affinity_counts_all_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert environment.cores() == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert environment.cores() == 1


def test_a_system_without_proc_still_names_a_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert environment.machine()["cpu"] == "arm"


def test_versions_are_those_that_decide_bits():
    assert [*environment.versions()] == ["kerastickets", "keras", "tensorflow", "numpy"]
