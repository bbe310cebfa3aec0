# sallyport: one Makefile for the program, its tests and its tools. `make help` lists the targets.
#
#   make CC=clang              another compiler
#   make VARIANT=asan          AddressSanitizer + UndefinedBehaviorSanitizer
#   make WERROR=               warnings are not errors

.DEFAULT_GOAL := all
SHELL := /bin/bash

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
VARIANT ?= release
WERROR  ?= -Werror
VERSION := 0.1.0
BUILD   := build/$(notdir $(CC))-$(VARIANT)

PKGS      := libssh openssl jansson libidn2 libpsl
LIB_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(PKGS) libconfig libsystemd 2>/dev/null))
LIB_LDLIBS := $(shell pkg-config --libs $(PKGS) libconfig libsystemd 2>/dev/null) -lev -lhttp_parser -lpthread

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual \
            -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wformat=2 \
            -Wnull-dereference $(WERROR)

CFLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
CFLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS_asan   := -fsanitize=address,undefined

ALL_CFLAGS  := -std=c17 -D_GNU_SOURCE -DSALLYPORT_VERSION='"$(VERSION)"' -I. $(LIB_CFLAGS) \
               $(WARNINGS) $(CFLAGS_$(VARIANT)) $(CFLAGS)
ALL_LDFLAGS := $(LDFLAGS_$(VARIANT)) $(LDFLAGS)

FOLDERS := base tunnel policy policy/actions sshd gateway
SOURCES := $(wildcard $(addsuffix /*.c,$(FOLDERS)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
PROGRAM := $(BUILD)/sallyport

all: $(PROGRAM)

$(PROGRAM): $(OBJECTS)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LDLIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# ---- unit tests: each names in a "Links:" line of its top comment the objects it is linked with ----

UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS   := $(UNIT_SOURCES:%.c=$(BUILD)/%)
unit_objects  = $(patsubst %,$(BUILD)/%.o,$(shell sed -n 's/^ \* Links: *//p' $(1)))

define UNIT_RULE
$(BUILD)/$(1:.c=): $(BUILD)/$(1:.c=.o) $$(call unit_objects,$(1))
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIB_LDLIBS) -lcmocka
endef
$(foreach t,$(UNIT_SOURCES),$(eval $(call UNIT_RULE,$(t))))

unit: $(UNIT_TESTS)
	@failed=0; for t in $(UNIT_TESTS); do $$t || failed=1; done; exit $$failed

clean:
	rm -rf build

.PHONY: all unit clean
-include $(OBJECTS:.o=.d) $(UNIT_TESTS:=.d)
