# sallyport: one Makefile for the program, its tests and its tools. `make help` lists the targets.
#
#   make CC=clang              another compiler
#   make VARIANT=asan          AddressSanitizer + UndefinedBehaviorSanitizer
#   make WERROR=               warnings are not errors

.DEFAULT_GOAL := all
SHELL := /bin/bash

ifeq ($(origin CC),default)
CC      := gcc
endif
VARIANT ?= release
WERROR  ?= -Werror
VERSION := 0.1.0
BUILD   := build/$(notdir $(CC))-$(VARIANT)
# The tests use Debian's python3, whatever else stands first in PATH.
PYTHON  := /usr/bin/python3

# ---- what Debian has to give; `make deps` installs what is missing ----

# A word "package=command" is content with the command, wherever it comes from.
DEPS_BUILD := gcc g++ libc6-dev pkg-config libssh-dev libssl-dev libev-dev libhttp-parser-dev \
              libconfig-dev libjansson-dev libidn2-dev libpsl-dev libsystemd-dev uthash-dev \
              libre2-dev libfyaml-dev libcurl4-openssl-dev libcjose-dev zlib1g-dev libbrotli-dev \
              libzstd-dev libmaxminddb-dev libcrypt-dev libxxhash-dev libnghttp2-dev libsqlite3-dev \
              tzdata
DEPS_RUN   := openssh-client=ssh curl=curl
DEPS_CHECK := libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-paramiko \
              python3-asyncssh python3-h2 python3-grpcio python3-websockets chromium nghttp2-client \
              openssh-client=ssh openssh-server dropbear-bin putty-tools curl=curl nginx-light \
              nodejs=node npm=npm iproute2 procps ca-certificates sslscan \
              python3-prometheus-client
DEPS_LINT  := clang clang-tidy clang-format libclang-rt-14-dev python3
DEPS_BENCH := wrk nghttp2-client valgrind openssh-server nginx-light python3 python3-cryptography

# A second make builds once the packages are there, on all CPUs unless -j says otherwise.
SUBMAKE = --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- flags ----

PKGS := libssh openssl jansson libidn2 libpsl libconfig libsystemd re2 libfyaml libcurl cjose zlib \
        libbrotlienc libbrotlidec libzstd libmaxminddb libcrypt libxxhash libnghttp2 sqlite3

# Asked for once, when a rule first needs it: pkg-config may be what `make deps` installs first.
LIB_CFLAGS  = $(eval LIB_CFLAGS := $$(patsubst -I%,-isystem%,$$(shell pkg-config --cflags $(PKGS))))$(LIB_CFLAGS)
LIB_LDLIBS  = $(eval LIB_LDLIBS := $$(shell pkg-config --libs $(PKGS)) -lev -lhttp_parser -lpthread -lm -lstdc++)$(LIB_LDLIBS)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual \
            -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wformat=2 \
            -Wnull-dereference $(WERROR)

CFLAGS_release  := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS_release := -Wl,-z,relro,-z,now
CFLAGS_asan     := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS_asan    := -fsanitize=address,undefined
CFLAGS_fuzz     := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LDFLAGS_fuzz    := -fsanitize=fuzzer,address,undefined

ALL_CFLAGS   = -std=c17 -D_GNU_SOURCE -DSALLYPORT_VERSION='"$(VERSION)"' -I. $(LIB_CFLAGS) \
               $(WARNINGS) $(CFLAGS_$(VARIANT)) $(CFLAGS)
ALL_LDFLAGS := $(LDFLAGS_$(VARIANT)) -Wl,--as-needed $(LDFLAGS)

# ---- the program ----

FOLDERS := base tunnel tunnel/store tunnel/api policy policy/cel policy/actions sshd gateway
SOURCES := $(wildcard $(addsuffix /*.c,$(FOLDERS)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/policy/regex.o
PROGRAM := $(BUILD)/sallyport

all: $(PROGRAM) ## build the program (default)

# V=1 shows the commands.
V     ?=
QUIET := $(if $(V),,@)
say    = $(if $(V),@:,@echo "  $(1)")

$(PROGRAM): $(OBJECTS)
	$(call say,link $@)
	$(QUIET)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LDLIBS)

$(BUILD)/%.o: %.c Makefile
	$(call say,$(CC) $<)
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The counters change 16 bytes at once, which the oldest x86-64 CPUs could not.
$(BUILD)/policy/counters.o: ALL_CFLAGS += $(if $(filter x86_64,$(shell uname -m)),-mcx16)

# The only C++ is the shim in front of RE2.
ALL_CXXFLAGS  = -std=c++17 -I. $(LIB_CFLAGS) -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR) \
                 -fno-exceptions $(CFLAGS_$(VARIANT)) $(CFLAGS)

$(BUILD)/%.o: %.cc Makefile
	$(call say,C++ $<)
	@mkdir -p $(@D)
	$(QUIET)$(if $(findstring clang,$(CC)),clang++,g++) $(ALL_CXXFLAGS) -MMD -MP -c -o $@ $<

run: ## build, then serve *.localhost on loopback, with your own SSH keys
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_RUN)
	@$(MAKE) $(SUBMAKE) all
	@etc/run.sh $(PROGRAM)

# ---- small programs: each takes what it needs from the program's objects, and names in a "Links:" line
# of its top comment what else it is linked with: helpers, and fakes that stand in for the real thing ----

ARCHIVE := $(BUILD)/libsallyport.a

$(ARCHIVE): $(filter-out $(BUILD)/gateway/main.o,$(OBJECTS))
	$(call say,archive $@)
	@rm -f $@
	$(QUIET)$(AR) rcs $@ $^

UNIT_SOURCES  := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS    := $(UNIT_SOURCES:%.c=$(BUILD)/%)
FUZZ_SOURCES  := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_TARGETS  := $(FUZZ_SOURCES:%.c=$(BUILD)/%)
BENCH_SOURCES := $(wildcard tests/bench/bench_*.c)
BENCHES       := $(BENCH_SOURCES:%.c=$(BUILD)/%)
CONFORMANCE_SOURCES := $(wildcard tests/conformance/*_conformance.c)
CONFORMANCE         := $(CONFORMANCE_SOURCES:%.c=$(BUILD)/%)

linked_objects = $(patsubst %,$(BUILD)/%.o,$(shell sed -n 's/^ \* Links: \(.*[^ */]\).*/\1/p' $(1)))

define SMALL_RULE
$(BUILD)/$(1:.c=): $(BUILD)/$(1:.c=.o) $(call linked_objects,$(1)) $(ARCHIVE)
	$$(call say,link $$@)
	$$(QUIET)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIB_LDLIBS) $(2)
endef
$(foreach t,$(UNIT_SOURCES),$(eval $(call SMALL_RULE,$(t),-lcmocka)))
$(foreach t,$(FUZZ_SOURCES) $(BENCH_SOURCES) $(CONFORMANCE_SOURCES),$(eval $(call SMALL_RULE,$(t),)))

# ---- tests ----

# WORKERS: worker threads of the gateway under test. T: pytest arguments, e.g. T='-k login'.
# JOBS: files of end-to-end tests that run at once; they wait more than they compute. 1 for T='--pdb'.
WORKERS ?= 2
JOBS    ?= $(shell echo $$(($$(nproc) < 4 ? 2 * $$(nproc) : 8)))
T       ?=

check: ## build and run the unit and end-to-end tests (WORKERS=n, JOBS=n, VARIANT=asan)
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_CHECK)
	@$(MAKE) $(SUBMAKE) check-built

check-built: $(PROGRAM) $(UNIT_TESTS)
	@$(PYTHON) tests/check.py --program $(PROGRAM) --workers $(WORKERS) --jobs $(JOBS) \
	    --pytest='$(T)' $(UNIT_TESTS)

check-asan: ## the same under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory check VARIANT=asan

check-valgrind: ## the same under valgrind; takes long
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_CHECK) valgrind
	@$(MAKE) $(SUBMAKE) check-valgrind-built

check-valgrind-built: $(PROGRAM) $(UNIT_TESTS)
	@$(PYTHON) tests/check.py --valgrind --program $(PROGRAM) --workers $(WORKERS) --pytest='$(T)' $(UNIT_TESTS)

# Where the cases are; those of HTTP/2 are h2spec, which is built there. A part NAME=DIR is run by tests/conformance/NAME_conformance.c or NAME.py.
CEL_CORPUS        ?= ../shared/corpus/cel
POLICY_CORPUS     ?= ../shared/corpus/policies
H2SPEC            ?= $(BUILD)/h2spec
CONFORMANCE_PARTS := cel=$(CEL_CORPUS) policies=$(POLICY_CORPUS) http2=$(H2SPEC)

conformance: ## run the conformance cases (CEL_CORPUS=dir, POLICY_CORPUS=dir; HTTP/2 needs go)
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_RUN) python3 python3-yaml python3-cryptography
	@$(MAKE) $(SUBMAKE) conformance-built

conformance-built: $(CONFORMANCE) $(PROGRAM)
	@$(PYTHON) tests/conformance/run.py $(BUILD) $(CONFORMANCE_PARTS)

unit: $(UNIT_TESTS) ## only the unit tests
	@failed=0; for t in $(UNIT_TESTS); do $$t || failed=1; done; exit $$failed

soak: ## the end-to-end tests that take longer than a minute
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_CHECK)
	@$(MAKE) $(SUBMAKE) soak-built

soak-built: $(PROGRAM)
	@$(PYTHON) tests/check.py --program $(PROGRAM) --workers $(WORKERS) --pytest='-m soak $(T)'

# FUZZ: names of targets without "fuzz_"; FUZZ_SECONDS: for each.
FUZZ_SECONDS ?= 60
FUZZ         ?= $(FUZZ_SOURCES:tests/fuzz/fuzz_%.c=%)

fuzz: ## run every fuzz target for FUZZ_SECONDS=60 each (FUZZ='config ...' picks some)
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_LINT)
	@$(MAKE) $(SUBMAKE) CC=clang VARIANT=fuzz BUILD=build/fuzz $(FUZZ:%=build/fuzz/tests/fuzz/fuzz_%)
	@tests/fuzz/run.sh build/fuzz $(FUZZ_SECONDS) $(FUZZ)

# BENCH: arguments, such as BENCH=--quick.
BENCH ?=

bench: ## measure, against nginx in front of sshd
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_BENCH)
	@$(MAKE) $(SUBMAKE) bench-built

bench-built: $(PROGRAM) $(BENCHES)
	@for b in $(BENCHES); do $$b || exit 1; done
	@for b in $(wildcard tests/bench/bench*.py); do SALLYPORT_BIN=$(abspath $(PROGRAM)) $(PYTHON) $$b $(BENCH) || exit 1; done

# ---- tools ----

lint: ## formatting, clang-tidy, and the rules that no compiler checks
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_CHECK) $(DEPS_LINT)
	@$(MAKE) $(SUBMAKE) lint-built

# RULES: names of checks; all when empty.
lint-built: export LINT_CFLAGS = $(ALL_CFLAGS)
lint-built:
	@$(PYTHON) tests/lint.py $(RULES)

format: ## lay out all C files by .clang-format
	clang-format -i $$(find $(FOLDERS) tests -name '*.[ch]' | sort -u)

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system

install: $(PROGRAM) ## install below DESTDIR, PREFIX=/usr/local; an existing configuration is kept
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/sallyport
	install -D -m 644 etc/sallyport.8 $(DESTDIR)$(PREFIX)/share/man/man8/sallyport.8
	install -D -m 644 etc/sallyport.cfg.5 $(DESTDIR)$(PREFIX)/share/man/man5/sallyport.cfg.5
	install -D -m 644 etc/sallyport.cfg $(DESTDIR)$(PREFIX)/share/doc/sallyport/sallyport.cfg
	install -D -m 644 etc/authorized_keys.example $(DESTDIR)$(PREFIX)/share/doc/sallyport/authorized_keys.example
	install -D -m 644 etc/traffic-policy.md $(DESTDIR)$(PREFIX)/share/doc/sallyport/traffic-policy.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/sallyport/policies etc/policies/*.yml
	test -e $(DESTDIR)$(SYSCONFDIR)/sallyport/sallyport.cfg || \
	    install -D -m 644 etc/sallyport.cfg $(DESTDIR)$(SYSCONFDIR)/sallyport/sallyport.cfg
	test -e $(DESTDIR)$(SYSCONFDIR)/sallyport/authorized_keys || \
	    install -D -m 644 etc/authorized_keys.example $(DESTDIR)$(SYSCONFDIR)/sallyport/authorized_keys
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@PREFIX@|$(PREFIX)|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' etc/sallyport.service \
	    > $(DESTDIR)$(UNITDIR)/sallyport.service
	chmod 644 $(DESTDIR)$(UNITDIR)/sallyport.service

deps: ## install the Debian packages that are missing, for everything above
	@etc/deps.sh $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_CHECK) $(DEPS_LINT) $(DEPS_BENCH) python3-yaml

clean: ## remove what was built; the state of `make run` stays
	rm -rf build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

.PHONY: all run check check-built check-asan check-valgrind check-valgrind-built conformance \
        conformance-built unit soak soak-built \
        fuzz bench bench-built lint lint-built format install deps clean help
-include $(OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(wildcard $(BUILD)/tests/*/*/*.d) $(FUZZ_TARGETS:=.d) $(BENCHES:=.d) $(CONFORMANCE:=.d)
