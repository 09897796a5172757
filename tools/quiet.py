"""A Sphinx extension: what TensorFlow writes about processors and missing GPUs is left out.

Its C++ writes that to file descriptor 2 while it is imported, before Python could filter it.
Warnings of pages go there, too. It stands before the extensions that import TensorFlow.
"""

import os
import tempfile

_screen = os.dup(2)
with tempfile.TemporaryFile() as _said:
    os.dup2(_said.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    except BaseException:
        _said.seek(0)
        os.write(_screen, _said.read())
        raise
    finally:
        os.dup2(_screen, 2)
        os.close(_screen)


def setup(app):
    return {"parallel_read_safe": True, "parallel_write_safe": True}
