"""What the tests of training/ share: they say that they are skipped where there is no PyTorch."""

import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(ROOT, os.environ.get("CLIPD_SHARED", "../shared"))
GOLDENS = os.path.join(SHARED, "goldens")
STARTER = os.path.join(ROOT, "models/starter")
CLIPD = os.path.join(ROOT, os.environ.get("CLIPD", "build/release/clipd"))
sys.path.insert(0, ROOT)


def missing():
    try:
        import numpy  # noqa: F401
        import PIL  # noqa: F401
        import torch
    except ImportError as error:
        return f"no {error.name}"
    torch.set_num_threads(1)
    return None


def main():
    """In the place of unittest.main()."""
    reason = missing()
    if reason:
        print(f"skipped: {reason}")
    else:
        unittest.main(module="__main__")
