# SPDX-License-Identifier: Apache-2.0
#
# One makefile, nothing recursive. Everything built goes under build/ (sanitizer and coverage
# builds under build/asan/, build/coverage/). `make help` lists what there is.

VERSION := 0.1.0

# FLAVOUR is empty, asan or coverage.
FLAVOUR ?=
B := build$(if $(FLAVOUR),/$(FLAVOUR))

CC ?= gcc
CLANG ?= clang
BPFTOOL ?= /usr/sbin/bpftool
PYTHON := /usr/bin/python3

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

# V=1 prints the commands themselves.
Q := $(if $(V),,@)
note = @$(if $(V),:,printf '  %-8s %s\n' '$(1)' '$(2)')

# ---- Flags ---------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
	-Wno-unused-parameter -Werror
CFLAGS ?= -O2 -g
CFLAGS_ALL := -std=gnu11 $(CFLAGS) $(WARN) -fstack-protector-strong -D_GNU_SOURCE \
	-D_FILE_OFFSET_BITS=64 -DBH_VERSION='"$(VERSION)"' -Iinclude -I. -I$(B)/gen
LDFLAGS_ALL := $(LDFLAGS) -Wl,-z,relro,-z,now

ifeq ($(FLAVOUR),asan)
CFLAGS_ALL += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS_ALL += -fsanitize=address,undefined
else ifeq ($(FLAVOUR),coverage)
CFLAGS_ALL += -O0 --coverage
LDFLAGS_ALL += --coverage
else
CFLAGS_ALL += -D_FORTIFY_SOURCE=2
endif

PKGS_dataplane := libbpf libnl-3.0 libnl-route-3.0 libmnl libprotobuf-c libuv
PKGS_controller := jansson yaml-0.1 libprotobuf-c libuv libcurl sqlite3 libmicrohttpd gnutls zlib
PKGS_cli := jansson smartcols yaml-0.1 libmnl libcurl libuv
PKGS_cni := jansson

pkg_cflags = $(shell pkg-config --cflags $(1) 2>/dev/null)
pkg_libs = $(shell pkg-config --libs $(1) 2>/dev/null)

LIBS_dataplane = $(call pkg_libs,$(PKGS_dataplane)) -lnng -lcap -lpthread
LIBS_controller = $(call pkg_libs,$(PKGS_controller)) -lnng -lpthread
LIBS_cli = $(call pkg_libs,$(PKGS_cli)) -lnng -lcap -lpthread

CFLAGS_PKGS = $(call pkg_cflags,$(sort $(PKGS_dataplane) $(PKGS_controller) $(PKGS_cli)))

# ---- Sources -------------------------------------------------------------------------------------

SRC_proto := $(wildcard proto/*.c)
SRC_dataplane := $(wildcard dataplane/*.c)
SRC_controller := $(wildcard controller/*.c controller/*/*.c)
SRC_cli := $(wildcard tools/bulkhead/*.c)
SRC_cni := $(wildcard tools/cni/*.c)
SRC_bpf := $(wildcard bpf/*.bpf.c)
SRC_bench_bpf := $(wildcard tools/bench/*.bpf.c)
SRC_tests_bpf := $(wildcard tests/lib/*.bpf.c)

OBJ_proto := $(SRC_proto:%.c=$(B)/obj/%.o) $(B)/obj/gen/bulkhead.pb-c.o
OBJ_dataplane := $(SRC_dataplane:%.c=$(B)/obj/%.o)
OBJ_controller := $(SRC_controller:%.c=$(B)/obj/%.o) $(B)/obj/gen/assets.o
OBJ_cli := $(SRC_cli:%.c=$(B)/obj/%.o) $(B)/obj/proto/pidfile.o $(B)/obj/proto/socket.o \
	$(B)/obj/proto/foreign.o $(B)/obj/proto/listen.o
OBJ_cni := $(SRC_cni:%.c=$(B)/obj/%.o)
SKELETONS := $(SRC_bpf:bpf/%.bpf.c=$(B)/gen/%.skel.h) $(SRC_bench_bpf:tools/bench/%.bpf.c=$(B)/gen/%.skel.h) \
	$(SRC_tests_bpf:tests/lib/%.bpf.c=$(B)/gen/%.skel.h)

# What tests link against: each daemon without its main.
LIB_dataplane := $(B)/libdataplane.a
LIB_controller := $(B)/libcontroller.a

PROGRAMS := $(B)/bulkhead $(B)/bulkhead-dataplane $(B)/bulkhead-controller $(B)/bulkhead-cni

## make            the programs, in build/ (WEB=no: without the page)
all: $(PROGRAMS) man

$(B)/bulkhead-dataplane: $(B)/obj/dataplane/main.o $(LIB_dataplane)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_dataplane)
$(B)/bulkhead-controller: $(B)/obj/controller/main.o $(LIB_controller)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_controller)
# Of the controller's parts it takes what draws a graph.
$(B)/bulkhead: $(OBJ_cli) $(LIB_controller)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_cli)

# Static: it is copied to hosts that have nothing of ours. (A sanitizer cannot be.)
$(B)/bulkhead-cni: $(OBJ_cni)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(if $(FLAVOUR),,-static) -o $@ $^ $(call pkg_libs,$(PKGS_cni))

$(LIB_dataplane): $(filter-out %/main.o,$(OBJ_dataplane)) $(OBJ_proto)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(LIB_controller): $(filter-out %/controller/main.o,$(OBJ_controller)) $(OBJ_proto)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# ---- Generated -----------------------------------------------------------------------------------

$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h &: proto/%.proto
	@mkdir -p $(B)/gen
	$(call note,PROTOC,$<)
	$(Q)protoc-c --proto_path=proto --c_out=$(B)/gen $<

# What the controller serves: the page, and the description of its API. WEB=no builds a controller whose
# page says that there is none, and needs neither node nor npm; WEB=FOLDER takes one that was built elsewhere.
WEB ?= yes
PAGE := $(if $(filter no,$(WEB)),controller/web/absent,$(if $(filter yes,$(WEB)),build/web,$(WEB)))

# npm writes this file when it is done. It outlives `make clean`: what it stands for comes over the network.
WEB_MODULES := controller/web/node_modules/.package-lock.json
$(WEB_MODULES): controller/web/package-lock.json controller/web/package.json controller/web/.npmrc
	$(call note,NPM,controller/web/node_modules)
	$(Q)controller/web/install
	$(Q)touch $@
ifeq ($(WEB),yes)
build/web/index.html: controller/web/build.mjs $(WEB_MODULES) $(shell find controller/web/src -type f)
	$(call note,WEB,$(@D))
	$(Q)node controller/web/build.mjs $(@D)
endif

# Another WEB than last time makes another page.
$(B)/gen/page: FORCE
	@mkdir -p $(@D)
	@[[ "$$(cat $@ 2>/dev/null)" == '$(PAGE)' ]] || echo '$(PAGE)' > $@
$(B)/gen/assets.c: tools/embed docs/openapi.yaml $(B)/gen/page $(PAGE)/index.html
	@mkdir -p $(@D)
	$(call note,EMBED,$@)
	$(Q)$(PYTHON) tools/embed /=$(PAGE) /openapi.yaml=docs/openapi.yaml > $@

# No kernel headers beyond the UAPI ones; -idirafter because Debian keeps asm/ in a multiarch folder.
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
	-Iinclude -Ibpf -idirafter /usr/include/$(shell $(CC) -print-multiarch)
# Processors that do not keep stores in order: bpf/lib/table.h.
BPF_CFLAGS += $(if $(filter x86_64 i686,$(shell uname -m)),,-DBH_WEAK_ORDER)

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call note,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MD -MP -MF $(@:.o=.d) -c $< -o $@
	$(Q)llvm-strip -g $@
$(B)/bpf/%.bpf.o: tools/bench/%.bpf.c
	@mkdir -p $(@D)
	$(call note,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MD -MP -MF $(@:.o=.d) -c $< -o $@
	$(Q)llvm-strip -g $@
$(B)/bpf/%.bpf.o: tests/lib/%.bpf.c
	@mkdir -p $(@D)
	$(call note,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MD -MP -MF $(@:.o=.d) -c $< -o $@
	$(Q)llvm-strip -g $@
$(B)/gen/%.skel.h: $(B)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

# ---- Objects -------------------------------------------------------------------------------------

# -MD, not -MMD: skeletons and generated headers must be tracked like any other.
$(B)/obj/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	$(call note,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_PKGS) -Wno-error -MD -MP -c $< -o $@
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call note,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_PKGS) -MD -MP -c $< -o $@

$(OBJ_dataplane) $(OBJ_controller) $(OBJ_proto): | $(B)/gen/bulkhead.pb-c.h
$(OBJ_dataplane): | $(SKELETONS)
# Included by the assembler, which -MD does not see.
$(B)/obj/tools/bulkhead/completion.o: tools/bulkhead/completion.bash

-include $(shell find $(B)/obj $(B)/bpf $(B)/tests -name '*.d' 2>/dev/null)

# ---- Tests ---------------------------------------------------------------------------------------

TEST_SRC := $(wildcard tests/unit/*/test_*.c tests/unit/test_*.c tests/bpf/test_*.c)
TEST_BIN := $(TEST_SRC:%.c=$(B)/%)
TEST_LIB_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard tests/lib/*.c)))
$(TEST_LIB_OBJ): | $(SKELETONS) $(B)/gen/bulkhead.pb-c.h
# An archive: a test links what it uses of it, and only those that use BPF need libbpf.
TEST_LIB := $(B)/libtests.a
$(TEST_LIB): $(TEST_LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# tests/unit/{controller,proto,dataplane,cli}/, tests/bpf/: linked with what they are about. What is
# in tests/lib/ needs libbpf.
$(B)/tests/unit/controller/%: $(B)/obj/tests/unit/controller/%.o $(LIB_controller)
	@mkdir -p $(@D)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_controller) -lcmocka
$(B)/tests/unit/proto/%: $(B)/obj/tests/unit/proto/%.o $(LIB_controller)
	@mkdir -p $(@D)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_controller) -lcmocka
$(B)/tests/unit/cli/%: $(B)/obj/tests/unit/cli/%.o $(filter-out %/bulkhead/main.o,$(OBJ_cli)) $(LIB_controller)
	@mkdir -p $(@D)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_cli) -lcmocka
$(B)/tests/unit/dataplane/%: $(B)/obj/tests/unit/dataplane/%.o $(TEST_LIB) $(LIB_dataplane)
	@mkdir -p $(@D)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_dataplane) -lcmocka
$(B)/tests/bpf/%: $(B)/obj/tests/bpf/%.o $(TEST_LIB)
	@mkdir -p $(@D)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg_libs,libbpf) -lcmocka
$(TEST_SRC:%.c=$(B)/obj/%.o): | $(SKELETONS) $(B)/gen/bulkhead.pb-c.h
.SECONDARY: $(TEST_SRC:%.c=$(B)/obj/%.o) $(SKELETONS)

tests: $(TEST_BIN)

setup:
	@tools/setup build test $(if $(filter yes,$(WEB)),web)

## make test       installs what is missing, builds, runs every test (root)
test: setup
	@$(MAKE) --no-print-directory -j$$(nproc) all tests
	@$(PYTHON) tests/run --build $(B)

## make test-unit  the tests that need no root and no network
test-unit: setup
	@$(MAKE) --no-print-directory -j$$(nproc) all tests
	@$(PYTHON) tests/run --build $(B) unit

## make asan       every test against daemons built with ASan and UBSan
asan: setup
	@$(MAKE) --no-print-directory FLAVOUR=asan -j$$(nproc) all tests
	@$(PYTHON) tests/run --build build/asan

## make test-kernels  the packet tests and a short end-to-end test on Debian's 5.10, 6.1 and 6.12, in qemu
test-kernels: setup
	@tools/setup kernels
	@$(MAKE) --no-print-directory -j$$(nproc) all tests
	@$(PYTHON) tests/kernels/run --build $(B) $(KERNELS)

## make coverage   line coverage of the unit tests, in build/coverage/report/
coverage: setup
	@$(MAKE) --no-print-directory FLAVOUR=coverage -j$$(nproc) all tests
	@$(PYTHON) tests/run --build build/coverage unit
	@lcov -q --capture --directory build/coverage --output-file build/coverage/all.info
	@lcov -q --extract build/coverage/all.info '$(CURDIR)/*' --output-file build/coverage/own.info
	@genhtml -q build/coverage/own.info --output-directory build/coverage/report

## make fuzz       every fuzz target for FUZZ_SECONDS (20) each
FUZZ_SECONDS ?= 20
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)
FUZZ_FLAGS := -std=gnu11 -g -O1 -D_GNU_SOURCE -DBH_VERSION='"$(VERSION)"' -Iinclude -I. -Ibuild/gen \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
build/fuzz/%: tests/fuzz/%.c $(filter-out controller/main.c,$(SRC_controller)) $(SRC_proto) $(wildcard controller/*/*.h controller/*.h proto/*.h) build/gen/bulkhead.pb-c.c build/gen/assets.c
	@mkdir -p $(@D)
	$(call note,FUZZ,$@)
	$(Q)$(CLANG) $(FUZZ_FLAGS) $(CFLAGS_PKGS) -o $@ $(filter %.c,$^) $(LIBS_controller)
fuzz: setup
	@$(MAKE) --no-print-directory -j$$(nproc) $(FUZZ_BIN)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZ_BIN)

## make test-kube  the API server as a source, against a real one built from Debian's source (root)
test-kube: setup
	@tools/setup kube
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/kube/run
	@tests/kube/deploy

# ---- For people ----------------------------------------------------------------------------------

## make demo       a shop in network namespaces, dry-run, enforce, an attack (root; ONESHOT=1 ends by itself)
demo:
	@tools/setup build demo $(if $(filter yes,$(WEB)),web)
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@$(PYTHON) tools/demo/demo $(if $(ONESHOT),--oneshot)

## make bench      all of the following, in turn; results in build/bench/*.json, too (root; half an hour)
## make bench-quick  the same, shortly, for a first look (minutes)
BENCHES := packet peers update flows history scale agent
bench: $(BENCHES:%=bench-%)
bench-quick:
	@$(MAKE) --no-print-directory bench BENCH_ARGS=--quick
bench-setup: setup
	@tools/setup bench
	@mkdir -p build/bench
## make bench-packet  per-packet cost of the BPF programs, as ratios
bench-packet: bench-setup
	@$(MAKE) --no-print-directory -j$$(nproc) build/bench-packet
	@build/bench-packet --out build/bench/packet.json $(BENCH_ARGS)
## make bench-peers  what filtering adds between two pods: Bulkhead, nftables, iptables and nothing, side by side
bench-peers: bench-setup
	@$(MAKE) --no-print-directory -j$$(nproc) all build/bench-load
	@$(PYTHON) tools/bench/peers/run $(BENCH_ARGS)
## make bench-update  how long a change of rules takes to be in force, beside nft, ipset and iptables
bench-update: bench-setup
	@$(MAKE) --no-print-directory -j$$(nproc) all build/bench-update
	@$(PYTHON) tools/bench/update/run $(BENCH_ARGS)
## make bench-flows   records of 1k to 100k new flows a second, accounted for; the graph with 10,000 edges
bench-flows: bench-setup
	@$(MAKE) --no-print-directory -j$$(nproc) all build/bench-flows
	@$(PYTHON) tools/bench/flows/run $(BENCH_ARGS)
## make bench-history  what keeping history costs: HISTORY="EDGES HOURS ACTIVE%" (10000 24 10)
HISTORY ?= 10000 $(if $(filter --quick,$(BENCH_ARGS)),1,24) 10
bench-history: bench-setup
	@$(MAKE) --no-print-directory -j$$(nproc) build/bench-history
	@rm -f build/bench-history.db*
	@build/bench-history build/bench-history.db build/bench/history.json $(HISTORY)
	@rm -f build/bench-history.db*
## make bench-agent   from the API server's event to the kernel, start, memory, processor, on a node of a large cluster
bench-agent: bench-setup
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@$(PYTHON) tools/bench/agent/run $(BENCH_ARGS)
## make bench-scale   what the controller's compile costs with up to 100,000 pods (no root)
bench-scale: bench-setup
	@$(MAKE) --no-print-directory -j$$(nproc) build/bench-scale
	@build/bench-scale $(BENCH_ARGS)

build/bench-packet: $(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard tools/bench/*.c))) $(TEST_LIB)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call pkg_libs,libbpf) -lcmocka
$(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard tools/bench/*.c))): | $(SKELETONS)

build/bench-scale: $(B)/obj/tools/bench/scale/main.o $(B)/obj/tools/bench/scale/cluster.o $(LIB_controller)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_controller)
build/bench-load: $(B)/obj/tools/bench/peers/main.o $(B)/obj/tools/bench/peers/load.o
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^
build/bench-update: $(B)/obj/tools/bench/update/main.o $(B)/obj/tools/bench/update/feeder.o $(OBJ_proto)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_dataplane)
$(patsubst %.c,$(B)/obj/%.o,$(wildcard tools/bench/update/*.c)): | $(B)/gen/bulkhead.pb-c.h
build/bench-flows: $(B)/obj/tools/bench/flows/main.o
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^
build/bench-history: $(B)/obj/tools/bench/history/main.o $(LIB_controller)
	$(call note,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_controller)

## make lint       format, cppcheck, layering, licences, types of the page
lint:
	@tools/setup build lint web
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/lint

## make format     rewrites the C sources by .clang-format
format:
	clang-format -i $$(git ls-files '*.c' '*.h')

MAN := $(patsubst docs/man/%.scd,build/man/%,$(wildcard docs/man/*.scd))
man: $(MAN)
build/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	$(Q)scdoc < $< > $@

PREFIX ?= /usr
## make install    DESTDIR=, PREFIX=/usr
install: all
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin build/bulkhead
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/libexec/bulkhead build/bulkhead-dataplane build/bulkhead-controller build/bulkhead-cni
	$(if $(filter %.1,$(MAN)),install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(filter %.1,$(MAN)))
	$(if $(filter %.8,$(MAN)),install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(filter %.8,$(MAN)))
	install -D -m 0644 tools/bulkhead/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/bulkhead

# What a host without Kubernetes needs besides: the unit, its user, its configuration.
install-host:
	install -D -m 0644 deploy/systemd/bulkhead.service $(DESTDIR)/usr/lib/systemd/system/bulkhead.service
	install -D -m 0644 deploy/systemd/sysusers.conf $(DESTDIR)/usr/lib/sysusers.d/bulkhead.conf
	install -D -m 0644 deploy/systemd/config.yaml $(DESTDIR)/etc/bulkhead/config.yaml
	install -d -m 0755 $(DESTDIR)/etc/bulkhead/manifests

## make deb        a Debian package, build/bulkhead_VERSION_ARCH.deb
deb: all
	@tools/setup build deb
	@deploy/debian/build $(VERSION) build/bulkhead_$(VERSION)_$$(dpkg --print-architecture).deb

## make image      a container image of Debian packages only, build/bulkhead-image_VERSION.tar (OCI; root)
image: $(PAGE)/index.html
	@tools/setup image
	@deploy/image $(VERSION) build/bulkhead-image_$(VERSION).tar

## make clean      removes build/
clean:
	rm -rf build

## make help       this
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

FORCE:
.PHONY: FORCE all setup test test-unit test-kernels tests asan coverage fuzz test-kube demo bench bench-quick bench-setup $(BENCHES:%=bench-%) lint format man install install-host deb image clean help
