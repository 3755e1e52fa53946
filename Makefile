# clipd - `make help` lists the targets.
#
# Sources are found by folder, so a new file needs no edit here. Every variant builds
# in its own folder under build/, so that they never mix. The targets for people come
# first: they install what is missing and then call make again for the work, because
# the flags of a library can be asked for only when it is there.

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
DEPS    := libmicrohttpd jansson libjpeg libpng libwebp libwebpdemux openblas libcyaml yaml-0.1 libutf8proc nettle zlib libxxhash sqlite3 libpq libcurl
ALL_CPPFLAGS = -I. -D_GNU_SOURCE -DCLIPD_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(DEPS)) $(CPPFLAGS)
ALL_CFLAGS   = -std=c11 -pthread $(WARN) $(SANITIZE_$(BUILD)) $(CFLAGS) $(ISA)
ALL_CXXFLAGS = -std=c++17 -fno-rtti -pthread -Wall -Wextra -Wshadow $(SANITIZE_$(BUILD)) $(CFLAGS)
ALL_LDFLAGS  = -pthread $(SANITIZE_$(BUILD)) $(LDFLAGS)
ALL_LDLIBS   = $(shell pkg-config --libs $(DEPS)) -lstdc++ -lm $(LDLIBS)

SANITIZE_release :=
SANITIZE_asan    := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE_tsan    := -fsanitize=thread
# clang's check of function types needs its C++ runtime, which a C program does not link.
SANITIZE_fuzz    := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize=function \
                    -fno-sanitize-recover=all

# `make V=1` shows the commands.
Q := $(if $(V),,@)
JOBS ?= $(shell nproc)
# Again, in parallel unless the caller said how.
AGAIN = +@$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
FUZZ_SECONDS ?= 10

FOLDERS  := cli server api core config hub tests bench
LIB_SRC  := $(sort $(wildcard core/*.c core/*/*.c core/*/*/*.c api/*.c config/*.c hub/*.c server/*.c))
# hnswlib is C++; one file makes it C.
CXX_SRC  := core/index/hnsw.cc
CLI_SRC  := $(sort $(wildcard cli/*.c))
TEST_SRC := $(sort $(shell find tests -name 'test_*.c' -o -name 'check_*.c'))
# A bench is one file; what they share with tests is not.
BENCH_HELP := tests/support/photo.c
BENCH_SRC := $(sort $(wildcard bench/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
# Programs that the Python tests start.
PEER_SRC := tests/server/fake_server.c tests/chaos/chaos_client.c tests/http/lend_database.c
# Of what one thread does alone the thread sanitizer has nothing to say, and takes long.
ifeq ($(BUILD),tsan)
TEST_SRC := tests/core/text/test_tokenizer.c \
            $(filter-out $(addprefix tests/,core/text/% core/image/% kernels/% config/% \
                                            core/model/test_quality.c),$(TEST_SRC))
FUZZ_SRC :=
endif
# What test programs share: golden readers and the like.
HELP_SRC := $(filter-out $(TEST_SRC),$(sort $(wildcard tests/support/*.c)))
SOURCES   = $(shell find $(wildcard $(FOLDERS)) -name '*.c')
HEADERS   = $(shell find $(wildcard $(FOLDERS)) -name '*.h' -o -name '*.hh')

LIB_OBJ  := $(LIB_SRC:%.c=$O/%.o) $(CXX_SRC:%.cc=$O/%.o) $O/api/openapi_text.o
CLI_OBJ  := $(CLI_SRC:%.c=$O/%.o)
HELP_LIB := $O/tests/libsupport.a
TESTS    := $(TEST_SRC:%.c=$O/%)
BENCHES  := $(BENCH_SRC:%.c=$O/%)
REPLAYS  := $(FUZZ_SRC:%.c=$O/%)
PEERS    := $(PEER_SRC:%.c=$O/%)
TIDIES   := $(patsubst %.c,$O/%.tidy,$(SOURCES))

.DEFAULT_GOAL := all
.PHONY: all help serve test asan tsan chaos bench peers lint fuzz format install uninstall clean \
        deps deps-test check fuzzers benches layers tidy
.SECONDARY:
.DELETE_ON_ERROR:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

all: $O/clipd ## Build the program (build/release/clipd)

serve: deps ## Install what is missing, build, and serve models/starter on 127.0.0.1:8080
	$(AGAIN) all
	@exec $O/clipd serve --model models/starter --precision fp32 --listen 127.0.0.1:8080

test: deps-test ## Install what is missing, build, and run every test
	$(AGAIN) check

asan: deps-test ## Every test under the address and undefined-behaviour sanitizers
	$(AGAIN) BUILD=asan O=build/asan TEST_TIMEOUT=900 check

tsan: deps-test ## Every test of more than one thread under the thread sanitizer
	$(AGAIN) BUILD=tsan O=build/tsan TEST_TIMEOUT=900 check

fuzz: deps-test ## Fuzz every parser for FUZZ_SECONDS (10) each
	$(AGAIN) BUILD=fuzz O=build/fuzz CC=clang fuzzers
	@tools/run_fuzz.sh build/fuzz $(FUZZ_SECONDS)

bench: deps ## Measure this machine, keep the result and compare it with the last one (STRICT=1: fail on losses)
	$(AGAIN) benches
	@bench/run.py $(if $(STRICT),--strict) $O

peers: deps ## ONNX Runtime and clipd on the same random weights, side by side
	$(AGAIN) all
	@bench/peers/peers.js

chaos: deps-test ## Kill writers and servers; kill, freeze and promote real PostgreSQL under load
	$(AGAIN) all $O/tests/core/index/sqlite/test_items $O/tests/chaos/chaos_client
	@CLIPD_KILLS=200 $O/tests/core/index/sqlite/test_items
	@tools/postgres_for_tests.sh prepare
	@CLIPD=$O/clipd $(PYTHON) tests/chaos/run_chaos.py $O/tests/chaos/chaos_client

lint: deps-test ## Layers, sizes, format, clang-tidy, scripts, openapi.yaml
	@tools/check_layers.sh
	@tools/check_sizes.sh
	@tools/check_headers.sh
	@clang-format --dry-run -Werror $(SOURCES) $(CXX_SRC) $(HEADERS)
	@shellcheck .ci/run tools/*.sh deploy/*.bash
	@$(PYTHON) tools/check_openapi.py
	$(AGAIN) O=build/lint tidy

format: ## Let clang-format lay out every source file
	clang-format -i $(SOURCES) $(CXX_SRC) $(HEADERS)

# What names a file is installed with the name that it has then.
install: all ## Install below DESTDIR and PREFIX (/usr/local)
	install -D -m 755 $O/clipd $(DESTDIR)$(PREFIX)/bin/clipd
	install -D -m 644 docs/clipd.1 $(DESTDIR)$(PREFIX)/share/man/man1/clipd.1
	sed 's|models/starter|$(PREFIX)/share/clipd/&|' config/clipd.example.yaml | \
	    install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/doc/clipd/clipd.example.yaml
	sed 's|/usr/local|$(PREFIX)|' deploy/clipd.service | \
	    install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/clipd.service
	install -D -m 644 deploy/clipd.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/clipd
	install -d $(DESTDIR)$(PREFIX)/share/clipd/models/starter
	install -m 644 models/starter/* $(DESTDIR)$(PREFIX)/share/clipd/models/starter

uninstall: ## Remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/clipd $(DESTDIR)$(PREFIX)/share/man/man1/clipd.1
	rm -f $(DESTDIR)$(PREFIX)/share/doc/clipd/clipd.example.yaml
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/clipd.service
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/clipd
	rm -rf $(DESTDIR)$(PREFIX)/share/clipd

clean: ## Remove everything that was built
	rm -rf build

deps:
	@tools/install_deps.sh

deps-test:
	@tools/install_deps.sh test

check: all $(TESTS) $(REPLAYS) $(PEERS) $(BENCHES)
	@tools/check_layers.sh
	@tools/check_docker.sh $O/clipd
	@tools/postgres_for_tests.sh run tools/run_tests.sh $O $(TESTS) $(REPLAYS)

fuzzers: $(REPLAYS)

benches: all $(BENCHES)

tidy: $(TIDIES)

# The instruction-set files are the only ones built for more than the baseline CPU
# (in a variable of their own: `make CFLAGS=...` must not switch it off). -O3 keeps
# their sums in registers, see core/kernels/tile_avx512.h.
ISA_AVX512 := -O3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprfchw
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
$O/core/kernels/%_avx2.o $O/core/kernels/%_avx2.tidy $O/watched/%_avx2.o: ISA := -O3 -mavx2 -mfma
$O/core/kernels/%_avx512.o $O/core/kernels/%_avx512.tidy: ISA := $(ISA_AVX512)
$O/core/kernels/%_avx512_bf16.o $O/core/kernels/%_avx512_bf16.tidy: ISA := $(ISA_AVX512) -mavx512bf16
$O/core/kernels/%_avx512_vnni.o $O/core/kernels/%_avx512_vnni.tidy: ISA := $(ISA_AVX512) -mavx512vnni
endif
$O/core/kernels/%_generic.o $O/core/kernels/scan.o: ISA := -O3

# Watched by the thread sanitizer, the kernels for AVX2 take thirty times as long, nearly all of its
# time. So it watches them in the programs of tests/core, and not in servers and commands.
ifeq ($(BUILD),tsan)
$O/core/kernels/%_avx2.o: SANITIZE_tsan :=
WATCHED := $(patsubst %.c,$O/watched/%.o,$(wildcard core/kernels/*_avx2.c))
$(filter $O/tests/core/%,$(TESTS)): FIRST := $(WATCHED)
$(filter $O/tests/core/%,$(TESTS)): $(WATCHED)
endif

define compile
@mkdir -p $(@D)
@echo "  CC    $<"
$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
endef

$O/%.o: %.c Makefile
	$(compile)

$O/watched/%.o: %.c Makefile
	$(compile)

$O/%.o: %.cc Makefile
	@mkdir -p $(@D)
	@echo "  CXX   $<"
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CXXFLAGS) -MMD -MP -c -o $@ $<

# openapi.yaml is compiled in, so that the program can answer with it from anywhere.
$O/api/openapi_text.c: openapi.yaml
	@mkdir -p $(@D)
	@echo "  GEN   $@"
	$(Q){ echo '#include "api/openapi_text.h"'; \
	    echo 'const unsigned char openapi_text[] = {'; \
	    od -An -v -tx1 $< | sed 's/\([0-9a-f][0-9a-f]\)/0x\1,/g'; \
	    echo '};'; \
	    echo 'const size_t openapi_text_size = sizeof(openapi_text);'; } > $@

$O/api/openapi_text.o: $O/api/openapi_text.c
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$O/libclipd.a: $(LIB_OBJ)
$(HELP_LIB): $(HELP_SRC:%.c=$O/%.o)
$O/libclipd.a $(HELP_LIB):
	@rm -f $@
	@echo "  AR    $@"
	$(Q)ar rcs $@ $^

$O/clipd: $(CLI_OBJ) $O/libclipd.a
	@echo "  LD    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

# A test is one file; `make $O/tests/core/image/test_jpeg` builds it alone.
$(TESTS): $O/%: $O/%.o $(HELP_LIB) $O/libclipd.a
	@echo "  LD    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(FIRST) $(filter-out $(FIRST),$^) $(shell pkg-config --libs check) $(ALL_LDLIBS)

$(BENCHES): $O/%: $O/%.o $(BENCH_HELP:%.c=$O/%.o) $O/libclipd.a
	@echo "  LD    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

# The functions of api/ that they define themselves stay in the archive.
$(PEERS): $O/%: $O/%.o $(HELP_LIB) $O/libclipd.a
	@echo "  LD    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LDLIBS)

# The one parser of cli/, which is not in the archive.
$O/tests/fuzz/fuzz_tar: $O/cli/tar.o

# A fuzz target with a plain main() replays files; `make fuzz` links libFuzzer's instead.
FUZZ_MAIN_release := $O/tests/fuzz/replay.o
FUZZ_MAIN_asan    := $(FUZZ_MAIN_release)
FUZZ_MAIN_tsan    := $(FUZZ_MAIN_release)
$(REPLAYS): $O/%: $O/%.o $(FUZZ_MAIN_$(BUILD)) $(HELP_LIB) $O/libclipd.a
	@echo "  LD    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) $(if $(filter fuzz,$(BUILD)),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(ALL_LDLIBS)

$O/%.tidy: %.c $(HEADERS) .clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY  $<"
	$(Q)clang-tidy -quiet $< -- $(ALL_CPPFLAGS) -std=c11 $(filter -m%,$(ISA)) 2>/dev/null
	@touch $@

-include $(shell find $O -name '*.d' 2>/dev/null)
