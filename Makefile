# gromosd. `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
#
#   B=dir      build directory (default build)
#   CC=clang   compiler
#   SAN=address,undefined | thread     sanitizers; use another B for each
#   DEBUG=1    expensive checks (-DGD_DEBUG)

B ?= build
CC ?= cc
PKGS := libuv libzmq msgpack inih
CPPFLAGS += -Iserver -I. -D_GNU_SOURCE
OPT ?= -O3
CFLAGS_ALL := -std=c17 $(OPT) -g -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
  -ffp-contract=off -fno-math-errno -fno-common -fvisibility=hidden -fPIC -pthread -MMD -MP $(CFLAGS)
ifdef SAN
CFLAGS_ALL += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=$(SAN)
endif
ifdef DEBUG
CPPFLAGS += -DGD_DEBUG
endif

LAYERS := core kernels engine io service
$(foreach l,$(LAYERS),$(eval SRC_$(l) := $(wildcard server/$(l)/*.c)))
OBJ = $(patsubst %.c,$(B)/%.o,$(1))
LIB = $(B)/libgd_$(1).a

.PHONY: all
all: $(B)/gromosd

# x86 kernel variants: each file is compiled for its own instruction set and called only after the CPU was asked.
# On another architecture the same files compile to nothing.
ifneq ($(filter x86_64 amd64,$(shell uname -m)),)
$(B)/%_avx2.o: VARIANT_FLAGS = -mavx2 -mfma
$(B)/%_avx512.o: VARIANT_FLAGS = -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512
endif

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(VARIANT_FLAGS) -c $< -o $@

define layer_rule
$(call LIB,$(1)): $(call OBJ,$(SRC_$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar crs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))

LDLIBS_ALL = $(shell pkg-config --libs $(PKGS)) -lz -lm -lpthread $(LDLIBS)
LIBS = $(foreach l,service io engine kernels core,$(call LIB,$(l)))

GENERATED_FROM := $(wildcard proto/*.toml proto/commands/*.toml proto/*.py)

# The build fails when a generated file is not what proto/ says.
$(B)/generated.stamp: $(GENERATED_FROM)
	@mkdir -p $(@D)
	python3 proto/generate.py --check
	@touch $@

$(B)/gromosd: $(call OBJ,server/main.c) $(LIBS) | $(B)/generated.stamp
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) -rdynamic -o $@ $(call OBJ,server/main.c) -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS_ALL)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
