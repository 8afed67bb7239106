# A first session, as notebook cells (percent format: open it in Jupyter, VS Code or Spyder, or run it as a script).
# No daemon has to run: one starts by itself.

# %% The package
import sys
import time

import gromos
import numpy as np

print(f"gromos {gromos.__version__}, NumPy {np.__version__}, Python {sys.version.split()[0]}")

# %% A small vector, and the way to NumPy
v = gromos.Vec3(1.0, 2.0, 3.0)
print(f"vector: {v}, of type {type(v).__name__}")
arr = v.to_numpy()
print(f"as an array: {arr}, dtype {arr.dtype}, shape {arr.shape}")

# %% ... and back
np_vec = np.array([4.0, 5.0, 6.0], dtype=np.float32)
v2 = gromos.Vec3.from_numpy(np_vec)
print(f"from an array: {v2}")

# %% A State of ten thousand atoms
n_atoms = 10_000
state = gromos.State(num_atoms=n_atoms, num_temp_groups=1, num_energy_groups=1)
print(f"a State with {state.num_atoms()} atoms")
positions = np.random.rand(n_atoms, 3).astype(np.float32) * 5.0
state.set_positions(positions)
pos_view = state.positions()  # the shared memory itself
print(f"positions: shape {pos_view.shape}, {pos_view.nbytes / 1024:.2f} KiB, the first three:\n{pos_view[:3]}")
assert (pos_view == positions).all()

# %% Vector arithmetic
v1 = gromos.Vec3(1.0, 2.0, 3.0)
v2 = gromos.Vec3(4.0, 5.0, 6.0)
print(f"v1 + v2      {v1 + v2}")
print(f"v1 - v2      {v1 - v2}")
print(f"v1 . v2      {v1.dot(v2)}")
print(f"v1 x v2      {v1.cross(v2)}")
print(f"|v1|         {v1.length():.4f}")
print(f"|v1 - v2|    {v1.distance(v2):.4f}")
assert v1.dot(v2) == 32.0
assert v1.cross(v2) == gromos.Vec3(-3.0, 6.0, -3.0)

# %% How long a dot product takes
n_iterations = 100_000
start = time.time()
for _ in range(n_iterations):
    result = v1.dot(v2)
vec3_time = time.time() - start
arr1 = np.array([1.0, 2.0, 3.0], dtype=np.float32)
arr2 = np.array([4.0, 5.0, 6.0], dtype=np.float32)
start = time.time()
for _ in range(n_iterations):
    result = np.dot(arr1, arr2)
numpy_time = time.time() - start
print(f"{n_iterations:,} dot products: Vec3 {vec3_time:.4f} s, NumPy {numpy_time:.4f} s, {numpy_time / vec3_time:.1f} times as long")

# %% What such an array is
v = gromos.Vec3(1.0, 2.0, 3.0)
arr = v.to_numpy()
print(f"{arr.nbytes} bytes of {arr.dtype}, strides {arr.strides}")
print(f"C-contiguous: {arr.flags['C_CONTIGUOUS']}, aligned: {arr.flags['ALIGNED']}")

# %% Five atoms
n = 5
state = gromos.State(num_atoms=n, num_temp_groups=1, num_energy_groups=1)
pos = np.array(
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]],
    dtype=np.float32,
)
state.set_positions(pos)
retrieved = state.positions()
print(f"{retrieved}\nshape {retrieved.shape}, {retrieved.nbytes} bytes, {retrieved.nbytes / n:.0f} per atom")
assert (retrieved == pos).all()

# %% How it scales
print(f"{'atoms':>8} {'create/ms':>12} {'set/ms':>12} {'get/ms':>12}")
for n in [100, 1000, 10_000, 50_000]:
    start = time.time()
    state = gromos.State(num_atoms=n, num_temp_groups=1, num_energy_groups=1)
    create_time = (time.time() - start) * 1000
    pos = np.random.rand(n, 3).astype(np.float32)
    start = time.time()
    state.set_positions(pos)
    set_time = (time.time() - start) * 1000
    start = time.time()
    retrieved = state.positions()
    get_time = (time.time() - start) * 1000
    print(f"{n:>8} {create_time:>12.3f} {set_time:>12.3f} {get_time:>12.3f}")

# %% Beyond one process: a name is all another one needs
shared = gromos.State(num_atoms=1000, name="first-steps")
shared.set(positions=np.random.rand(1000, 3) * 3.0, box=gromos.Box.rectangular(3.0, 3.0, 3.0))
shared.maxwell_velocities(300.0, seed=1)
same = gromos.attach("first-steps")
with same.edit() as e:
    e.positions()[:] += 0.1
print(f"centre of mass {shared.center_of_mass()}, {shared.temperature():.1f} K, version {shared.version}")
r, g = shared.rdf(r_max=1.4, bins=70)
print(f"g(r) at {r[-1]:.2f} nm: {g[-1]:.2f}")
shared.delete()
