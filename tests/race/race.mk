# Programs that race: threads under ThreadSanitizer (make race-threads), and the torture test of frames over processes (make
# torture for the billion words, torture-short for seconds, torture-faults for the planted faults it must find), and writers
# killed and evicted in the middle of an array (undo-kills, undo-faults). make race is all but the billion.
# Included by the root Makefile.

RACE_CORE := $(addprefix server/core/,ring.c pins.c frames.c segment.c memory.c descriptors.c accepting.c lease.c err.c check.c)
RACE_HEADERS := $(wildcard server/core/*.h) proto/gd_shm.h tests/race/reader.h
RACE_FLAGS := -std=c17 -g -Wall -Wextra -Wshadow -Wno-format-truncation -pthread $(CPPFLAGS)
RACE_PROGRAMS := $(addprefix $(B)/race/,race_ring race_lease race_wake race_split)
$(B)/race/race_split: RACE_MORE := server/core/crew.c server/kernels/split.c

$(B)/race/race_%: tests/race/race_%.c $(RACE_CORE) $(RACE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(RACE_FLAGS) -O1 -fsanitize=thread $< $(RACE_CORE) $(RACE_MORE) -o $@

.PHONY: race race-threads
race: race-threads torture-short torture-faults undo-kills undo-faults

# Address space randomisation of newer kernels leaves older sanitizers no room; setarch turns it off for the one process.
race-threads: $(RACE_PROGRAMS)
	@set -e; for p in $^; do echo "== $$p"; TSAN_OPTIONS=halt_on_error=1 setarch $$(uname -m) -R $$p; done

# The ring as it is, with pauses between its steps, and with the two faults.
TORTURE_BUILDS := torture torture_paused torture_no_recheck torture_early_sequence
$(B)/race/torture_paused: TORTURE_FLAGS := -DTORTURE_PAUSES
$(B)/race/torture_no_recheck: TORTURE_FLAGS := -DTORTURE_PAUSES -DGD_RING_NO_RECHECK
$(B)/race/torture_early_sequence: TORTURE_FLAGS := -DTORTURE_PAUSES -DGD_RING_EARLY_SEQUENCE

$(addprefix $(B)/race/,$(TORTURE_BUILDS)): tests/race/torture.c tests/race/torture_pause.h $(RACE_CORE) $(RACE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(RACE_FLAGS) -O2 $(TORTURE_FLAGS) -include tests/race/torture_pause.h $< $(RACE_CORE) -o $@

.PHONY: torture torture-short torture-faults
torture: $(B)/race/torture $(B)/race/torture_paused
	$(B)/race/torture --words 1e9 --seconds 600
	$(B)/race/torture_paused --words 1e9 --seconds 1200 --slots 4 --contention 10000

torture-short: $(B)/race/torture $(B)/race/torture_paused
	$(B)/race/torture --words 1e8 --seconds 300
	$(B)/race/torture_paused --words 2e7 --seconds 300 --contention 50

torture-faults: $(B)/race/torture_no_recheck $(B)/race/torture_early_sequence
	$(B)/race/torture_no_recheck --seconds 300 --expect-torn
	$(B)/race/torture_early_sequence --seconds 300 --expect-torn

# Writers that overwrite an array and keep its old content on the way; short arrays, and long ones that go past the caches.
UNDO_BUILDS := kill_undo kill_undo_late kill_undo_early
UNDO_SOURCES := tests/race/kill_undo.c $(addprefix client-python/src/ext/,overwrite.c finite.c)
$(B)/race/kill_undo_late: UNDO_FLAGS := -DGD_UNDO_LATE
$(B)/race/kill_undo_early: UNDO_FLAGS := -DGD_UNDO_EARLY

$(addprefix $(B)/race/,$(UNDO_BUILDS)): $(UNDO_SOURCES) client-python/src/ext/numbers.h proto/gd_undo.h server/core/rollback.c $(RACE_CORE) $(RACE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(RACE_FLAGS) -O3 $(UNDO_FLAGS) -Iclient-python/src/ext $(UNDO_SOURCES) server/core/rollback.c $(RACE_CORE) -o $@

.PHONY: undo-kills undo-faults
undo-kills: $(B)/race/kill_undo
	$(B)/race/kill_undo --deaths 200 --evictions 200 --seconds 300
	$(B)/race/kill_undo --deaths 30 --evictions 30 --numbers 1600000 --seconds 300

undo-faults: $(B)/race/kill_undo_late $(B)/race/kill_undo_early
	$(B)/race/kill_undo_late --seconds 300 --expect-mixture
	$(B)/race/kill_undo_early --seconds 300 --expect-mixture

# Publishing beside the plain copy.
$(B)/bench_frames: tests/bench/bench_frames.c $(RACE_CORE) $(RACE_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(RACE_FLAGS) -O3 $< $(RACE_CORE) -o $@
