"""Settings of torch that a verb makes before it computes."""

import platform
import resource
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from landscape.engine import device

if "settled" in sys.argv:
    device.settle()

def touched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * (48 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

sys.stdout.write(str([touched() for _ in range(3)][-1]))
"""
PAGES = 48 * 2**20 // resource.getpagesize()


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="its memory is another C library's, which is left as it is"
)
@pytest.mark.parametrize(("how", "pages"), [("settled", 0), ("", PAGES)])
def test_freed_memory_is_kept_for_the_next_batch(how: str, pages: int) -> None:
    """Otherwise 48 MiB return to the system each time, and every page is mapped anew."""
    said = subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True).stdout
    assert int(said) == pytest.approx(pages, abs=PAGES // 20)
