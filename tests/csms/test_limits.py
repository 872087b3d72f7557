"""The limit of descriptors, and the table of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadsim.limits import raise_descriptor_limit, reserve_descriptors

PROGRAM = """
import resource
from loadsim.limits import raise_descriptor_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
print(raise_descriptor_limit(), raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0], hard)
"""


def test_the_limit_in_force_is_returned() -> None:
    assert raise_descriptor_limit() >= 64


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=20)
    first, second, soft, hard = map(int, done.stdout.split())

    assert first == second == soft
    assert soft == hard or sys.platform == "darwin"


TABLE = """
import sys, threading
from pathlib import Path
from loadsim.limits import reserve_descriptors
reserve_descriptors(int(sys.argv[1]))
print(Path("/proc/self/status").read_text())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing else tells the size of the table")
def test_the_table_of_descriptors_has_its_full_size_before_they_are_opened() -> None:
    limit = min(raise_descriptor_limit(), 4000)

    done = subprocess.run([sys.executable, "-c", TABLE, str(limit)], capture_output=True, check=True, timeout=20)

    found = re.search(r"^FDSize:\s*(\d+)$", done.stdout.decode(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) >= limit


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are listed elsewhere, if at all")
def test_to_reserve_descriptors_opens_none_for_good() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    reserve_descriptors(raise_descriptor_limit())
    reserve_descriptors(1 << 40)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_table_that_the_system_refuses_is_no_mistake() -> None:
    reserve_descriptors(0)
