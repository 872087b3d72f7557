"""The limit of descriptors."""

import subprocess
import sys

import pytest

from loadsim.limits import raise_descriptor_limit

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
