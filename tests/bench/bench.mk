# Yardsticks and helpers of the benchmarks: $(B)/bench/. Included by the root Makefile.

BENCH_HELPERS := $(addprefix $(B)/bench/,echo_router load_generator bare_memory kernel_calls.so)
BENCH_FLAGS := -std=c17 -O3 -g -Wall -Wextra -Wshadow $(CPPFLAGS)

$(B)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(BENCH_FLAGS) $< -o $@ -lzmq

$(B)/bench/kernel_calls.so: tests/bench/kernel_calls.c $(B)/tests/bench/plain_loops.o $(call LIB,kernels) $(call LIB,core)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(BENCH_FLAGS) -fPIC -shared -fvisibility=hidden $(filter %.c %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lm -lpthread -o $@

.PHONY: bench-helpers
bench-helpers: $(BENCH_HELPERS) $(B)/kernel_check $(B)/bench_frames
bench: bench-helpers
