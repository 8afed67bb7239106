"""gromos: molecular systems that many programs can see at once.

A State lives in shared memory that a daemon, gromosd, looks after; every process that attaches to it maps the same arrays
into NumPy. Small values (Vec3, Mat3, Box, Energy) need no daemon.
"""

from ._box import Box, BoxDimensions, BoxKind
from ._energy import Energy
from ._ext import Mat3, Vec3
from ._version import __version__

__all__ = [
    "Box",
    "BoxDimensions",
    "BoxKind",
    "Energy",
    "Mat3",
    "Vec3",
    "__version__",
]
