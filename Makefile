# gromosd. `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
#
#   B=dir          build directory (default build)
#   CC=clang       compiler
#   SAN=address,undefined | thread     sanitizers; give another B with it
#   DEBUG=1        expensive checks (-DGD_DEBUG)
#   V=1            show every command
#   PYTHON=python3 interpreter the virtual environment is made from

B ?= build
Q := $(if $(V),,@)
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
# What is compiled for, which may be another architecture than this machine's; and what for a program that is run where it is compiled.
TARGET := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
NATIVE := $(if $(filter $(TARGET),$(filter x86_64 aarch64,$(shell uname -m))),-march=native)
PYTHON ?= python3
OPT ?= -O3
VENV := .venv
PY := $(VENV)/bin/python

# What the machine has is found out once its packages are there: make remakes this file first and then starts again with it.
ifeq ($(filter help clean,$(MAKECMDGOALS)),)
include $(B)/config.mk
endif
PKGS := libuv libzmq $(MSGPACK) inih $(HDF5)

CPPFLAGS += -Iserver -I. -D_GNU_SOURCE
CFLAGS_ALL := -std=c17 $(OPT) -g -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
  -ffp-contract=off -fno-math-errno -fno-common -fvisibility=hidden -fPIC -pthread -MMD -MP $(CFLAGS)
ifdef SAN
CFLAGS_ALL += -fsanitize=$(SAN) -fno-omit-frame-pointer $(if $(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined)
LDFLAGS += -fsanitize=$(SAN)
endif
# H5MD files need HDF5; without it they are refused with a clear message.
ifneq ($(HDF5),)
CPPFLAGS += -DGD_HAVE_HDF5 $(shell pkg-config --cflags $(HDF5))
endif
ifdef DEBUG
CPPFLAGS += -DGD_DEBUG
endif
LDLIBS_ALL = $(shell pkg-config --libs $(PKGS)) -lz -lm -lpthread $(LDLIBS)

LAYERS := core kernels engine io service
LIB = $(B)/libgd_$(1).a
OBJ = $(patsubst %.c,$(B)/%.o,$(1))
LIBS = $(foreach l,service io engine kernels core,$(call LIB,$(l)))
LINK = @echo "  LINK    $@"; $(CC) $(CFLAGS_ALL) $(LDFLAGS) -rdynamic -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS_ALL)

.DEFAULT_GOAL := all
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif
.PHONY: all help
all: $(B)/gromosd $(VENV)/client.stamp ## build the daemon and the Python package

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

# ---- C ----

# Kernel variants: each file is compiled for its own instruction set and called only after the processor was asked. On
# other architectures these files compile to nothing.
ifeq ($(TARGET),x86_64)
$(B)/%_avx2.o: VARIANT_FLAGS = -mavx2 -mfma
$(B)/%_avx512.o: VARIANT_FLAGS = -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512 $(OWN_FRAMES)
# To see locals used after a return, AddressSanitizer of gcc 13 and 14 has them in frames that are aligned to 32 bytes, and stores
# there as if to 64: these files' locals stay on the stack.
OWN_FRAMES := $(if $(findstring address,$(SAN)),$(if $(findstring clang,$(CC)),,--param=asan-use-after-return=0))
endif

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(VARIANT_FLAGS) -c $< -o $@

define layer_rule
$(call LIB,$(1)): $(call OBJ,$(wildcard server/$(1)/*.c))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)ar crs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))

# The build fails when a generated file is not what proto/ says.
GENERATED := $(addprefix proto/,gd_errors.h gd_energies.h PROTOCOL.md) $(wildcard server/service/commands_generated.[ch]) \
  $(addprefix client-python/src/gromos/,_protocol.py _energy_fields.py)
$(B)/generated.stamp: $(wildcard proto/*.toml proto/commands/*.toml proto/*.py) $(GENERATED)
	$(Q)$(PYTHON) proto/generate.py --check
	@touch $@

$(B)/gromosd: $(call OBJ,server/main.c) $(LIBS) | $(B)/generated.stamp
	$(LINK)

.PHONY: generate
generate: ## write the files generated from proto/
	$(PYTHON) proto/generate.py

# ---- what the machine must have, and the Python environment ----

# Names of pkg-config files differ between releases: msgpack-c is msgpack in Debian 12, HDF5 is named after its build.
$(B)/config.mk: deploy/install-dependencies.sh
	@mkdir -p $(@D)
	sh deploy/install-dependencies.sh build
	@{ echo "MSGPACK := $$(pkg-config --exists msgpack-c && echo msgpack-c || echo msgpack)"; \
	   echo "HDF5 := $$(for p in hdf5 hdf5-serial; do pkg-config --exists $$p && echo $$p && break; done)"; } > $@

.PHONY: setup
setup: ## install what the tests need (system packages, .venv)
	sh deploy/install-dependencies.sh test
	@$(MAKE) --no-print-directory $(VENV)/client.stamp

$(VENV)/requirements.stamp: tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

CLIENT_SOURCES := $(wildcard client-python/src/ext/*.[ch] client-python/*.toml client-python/setup.py proto/*.h)
$(VENV)/client.stamp: $(VENV)/requirements.stamp $(CLIENT_SOURCES)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e client-python
	@touch $@

# ---- tests ----

UNIT_SOURCES := $(wildcard tests/unit/*.c)
$(B)/unit_tests: $(call OBJ,$(UNIT_SOURCES)) $(LIBS)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcriterion $(LDLIBS_ALL)

$(B)/kernel_check: $(call OBJ,$(wildcard tests/kernels/*.c) tests/bench/bench_kernels.c tests/bench/plain_loops.c) $(call LIB,kernels) $(call LIB,core)
	$(LINK)
$(B)/tests/bench/plain_loops.o: VARIANT_FLAGS = -ffp-contract=fast $(NATIVE) $(OWN_FRAMES)

$(B)/run_case: $(call OBJ,tests/reference/run_case.c) $(call LIB,engine) $(call LIB,io) $(call LIB,kernels) $(call LIB,core)
	$(LINK)

# Each fuzz target links a driver: libFuzzer (fuzz_NAME) or the plain replayer over the kept corpus (replay_NAME).
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(filter-out %_replay.c,$(wildcard tests/fuzz/fuzz_*.c)))
$(foreach n,$(FUZZ_NAMES),$(B)/replay_$(n)): $(B)/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/fuzz_replay.o $(LIBS)
	$(LINK)
$(foreach n,$(FUZZ_NAMES),$(B)/fuzz_$(n)): $(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(LIBS)
	$(LINK) -fsanitize=fuzzer

.PHONY: fuzz-binaries replay-binaries
fuzz-binaries: $(foreach n,$(FUZZ_NAMES),$(B)/fuzz_$(n))
replay-binaries: $(foreach n,$(FUZZ_NAMES),$(B)/replay_$(n))

-include tests/race/race.mk tests/spin/spin.mk tests/bench/bench.mk

.PHONY: test check bench validate crash soak lint
test: ## set everything up and run every test
	@sh deploy/install-dependencies.sh test
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory check

check: all $(B)/run_case ## run every test (everything is set up)
	$(PY) tests/run.py --build $(B) $(SUITES)

lint: ## layers, where main() is, generated files
	$(PYTHON) tests/lint.py

bench: all $(B)/kernel_check ## benchmarks against the limit and against what a user would take instead
	@sh deploy/install-dependencies.sh bench
	$(PY) tests/bench/run.py --build $(B) $(BENCH)

crash: all ## kill clients and the daemon at random, long form
	$(PY) tests/crash/crash.py --build $(B) --long

validate: all ## the physics, long
	$(PY) tests/validate/run.py --build $(B) $(VALIDATE)

soak: all ## many processes at random for MINUTES (default 5)
	$(PY) tests/soak/soak.py --build $(B) --minutes $(or $(MINUTES),5)

.PHONY: demo clean install
demo: all ## the main job on a real system
	GROMOSD_BINARY=$(abspath $(B))/gromosd $(PY) client-python/examples/demo.py --out demo-output

PREFIX ?= /usr/local
install: $(B)/gromosd ## the daemon into PREFIX (default /usr/local)
	install -D -m 755 $(B)/gromosd $(DESTDIR)$(PREFIX)/bin/gromosd

clean: ## remove what was built (.venv stays)
	rm -rf $(B) demo-output

-include $(shell find $(B) -name '*.d' 2>/dev/null)
