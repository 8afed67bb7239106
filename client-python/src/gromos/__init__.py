"""gromos: molecular systems that many programs can see at once.

A State lives in shared memory that a daemon, gromosd, looks after; every process that attaches to it maps the same arrays
into NumPy. Small values (Vec3, Mat3, Box, Energy) need no daemon.

    import gromos
    s = gromos.State(num_atoms=10000, name="box")     # a daemon starts by itself if none runs
    s.positions()                                     # the shared memory itself, read-only
    with s.edit() as e: e.positions()[:] += 0.1       # the right to write, one commit
    gromos.attach("box")                              # the same memory, in another process
"""

from . import _ext
from ._box import Box, BoxDimensions, BoxKind
from ._energy import Energy
from ._errors import *  # noqa: F403
from ._errors import __all__ as _error_names
from ._errors import from_number
from ._ext import Mat3, Vec3
from ._files import load
from ._events import Events, StateEvent
from ._frames import Edit, Frame, Frames, RemoteEdit, RemoteFrame
from ._job import Job, LogLine, jobs
from ._parameters import InputParameters
from ._progress import progress
from ._protocol import JobDescribeResult, StateCheckpointResult, StateDescribeResult
from ._session import Session, connect, default_session
from ._compute import Bounds, Superposition
from ._reporters import CallbackReporter, CSVReporter, EnergyReporter, Reporter
from ._select import select
from ._simulation import Restraints, Simulation, SinglePoint
from ._special import SpecialTrajectory, read_special
from ._state import State, attach, restore
from ._system import Configuration, System
from ._topology import Solvent, Topology
from ._trajectory import EnergyTrajectory, Trajectory, TrajectoryFrame, iter_trajectory, read_energies, read_trajectory
from ._version import __version__

_ext.configure(error=from_number, edit=Edit, frame=Frame)

__all__ = [
    "Bounds",
    "Box",
    "BoxDimensions",
    "BoxKind",
    "CSVReporter",
    "CallbackReporter",
    "Configuration",
    "Edit",
    "Energy",
    "Events",
    "EnergyReporter",
    "EnergyTrajectory",
    "Frame",
    "Frames",
    "InputParameters",
    "Job",
    "LogLine",
    "JobDescribeResult",
    "Mat3",
    "RemoteEdit",
    "RemoteFrame",
    "Reporter",
    "Restraints",
    "Session",
    "Simulation",
    "SinglePoint",
    "Solvent",
    "SpecialTrajectory",
    "State",
    "StateEvent",
    "StateCheckpointResult",
    "StateDescribeResult",
    "Superposition",
    "System",
    "Topology",
    "Trajectory",
    "TrajectoryFrame",
    "Vec3",
    "__version__",
    "attach",
    "connect",
    "default_session",
    "iter_trajectory",
    "jobs",
    "load",
    "progress",
    "read_energies",
    "read_special",
    "read_trajectory",
    "restore",
    "select",
    *_error_names,
]
