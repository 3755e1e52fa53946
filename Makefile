# clipd - `make help` lists the targets.
#
# One Makefile, no recursion but for the sanitizer variants. Sources are found by
# folder, so a new file needs no edit here. Every variant builds in its own folder
# under build/, so that they never mix.

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
BUILD   ?= release
O       ?= build/$(BUILD)
PYTHON  ?= /usr/bin/python3

# What the user may override, and what the program needs: kept apart, so that
# `make CFLAGS=-O0` does not lose the include path.
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wwrite-strings -Wpointer-arith -Wcast-qual -Wvla
DEPS    := libmicrohttpd jansson libjpeg libpng libwebp libwebpdemux openblas libcyaml libutf8proc nettle zlib
ALL_CPPFLAGS = -I. -D_GNU_SOURCE -DCLIPD_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(DEPS)) $(CPPFLAGS)
ALL_CFLAGS   = -std=c11 -pthread $(WARN) $(SANITIZE_$(BUILD)) $(CFLAGS) $(ISA)
ALL_LDFLAGS  = -pthread $(SANITIZE_$(BUILD)) $(LDFLAGS)
ALL_LDLIBS   = $(shell pkg-config --libs $(DEPS)) -lm $(LDLIBS)

SANITIZE_release :=
SANITIZE_asan    := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE_tsan    := -fsanitize=thread
SANITIZE_fuzz    := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all

FOLDERS  := cli server api core config tests bench
LIB_SRC  := $(sort $(wildcard core/*.c core/*/*.c api/*.c config/*.c server/*.c))
CLI_SRC  := $(sort $(wildcard cli/*.c))
TEST_SRC := $(sort $(shell find tests -name 'test_*.c'))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
# What test programs share: golden readers and the like.
HELP_SRC := $(filter-out $(TEST_SRC),$(sort $(wildcard tests/support/*.c)))
SOURCES   = $(shell find $(wildcard $(FOLDERS)) -name '*.c')
HEADERS   = $(shell find $(wildcard $(FOLDERS)) -name '*.h')

LIB_OBJ  := $(LIB_SRC:%.c=$O/%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$O/%.o)
HELP_OBJ := $(HELP_SRC:%.c=$O/%.o)
TESTS    := $(TEST_SRC:%.c=$O/%)
REPLAYS  := $(FUZZ_SRC:%.c=$O/%)

.DEFAULT_GOAL := all
.PHONY: all help serve test unit deps asan tsan lint layers format fuzz install uninstall clean
.SECONDARY:

all: $O/clipd ## Build the server (build/release/clipd)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## Install missing packages with apt when allowed, else say which
	@tools/install_deps.sh

$O/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$O/libclipd.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$O/clipd: $(CLI_OBJ) $O/libclipd.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

# A test is one file; `make $O/tests/core/image/test_jpeg` builds it alone.
$(TESTS): $O/%: $O/%.o $(HELP_OBJ) $O/libclipd.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(ALL_LDLIBS)

# A fuzz target with a plain main() replays files; `make fuzz` links libFuzzer instead.
$(REPLAYS): $O/%: $O/%.o $O/tests/fuzz/replay.o $(HELP_OBJ) $O/libclipd.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

-include $(shell find $O -name '*.d' 2>/dev/null)
