# wscast: `make help` lists what can be made, docs/building.md explains it.

# -- what a caller may set ---------------------------------------------------

NGINX      = nginx
NGINX_SRC  = /usr/share/nginx/src
BUILD      = build
DESTDIR    =
REDIS      = on
DEPS       = t/lib/deps
TESTS      =
T          =
RUNS       = 1000000
SECONDS    = 0
RANDOM     = 200000
JOBS       = 2
V          =

ifeq ($(origin CC),default)
CC         = gcc
endif

# -- flags -------------------------------------------------------------------

# nginx's handlers have signatures of their own, hence the unused parameters.
WARN       = -Wall -Wextra -Werror -Wno-unused-parameter
SANITIZE   = -fsanitize=address,undefined -fno-sanitize-recover=all \
             -fno-omit-frame-pointer

WRAP       = t/lib/alloc.c -Wl,--wrap=ngx_alloc,--wrap=ngx_calloc \
             -Wl,-z,nodelete

# VARIANT=asan is the same module with sanitizers and our own debug checks;
# nothing that nginx compares in the module's signature may differ.  A worker
# unloads its modules before leaks are reported: nodelete keeps their names.
ifeq ($(VARIANT),asan)
OUT        = $(BUILD)/asan
OPTIMIZE   = -O1 -DWSCAST_DEBUG $(SANITIZE)
EXTRA      = $(WRAP)
else
OUT        = $(BUILD)
OPTIMIZE   = -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
endif

CFLAGS     = -std=gnu11 $(OPTIMIZE) -g -fPIC -fvisibility=hidden $(WARN)
LDFLAGS    = -Wl,-z,relro -Wl,-z,now $(EXTRA)
UNIT_FLAGS = -std=gnu11 -O1 -g -DWSCAST_DEBUG $(SANITIZE) $(WARN)
FUZZ_FLAGS = -std=gnu11 -O1 -g $(WARN) -fsanitize=fuzzer,address,undefined \
             -fno-sanitize-recover=all

# Static, and hidden by --exclude-libs: nginx loads modules RTLD_GLOBAL, and
# others of them carry another hiredis.
HIREDIS    = $(shell $(CC) -print-file-name=libhiredis.a)
LIBS       = $(HIREDIS) -Wl,--exclude-libs,ALL -lcjson -lcrypto -lz

# -- files -------------------------------------------------------------------

# Pure rooms are compiled without nginx's headers in reach.
PURE       = base wire dialect auth fanout session
FACED      = conn bus store worker http

NAME       = ngx_http_wscast_module
MODULE     = $(OUT)/$(NAME).so
NGX        = $(BUILD)/nginx
SRCS       = $(sort $(foreach room,$(PURE) $(FACED),$(wildcard src/$(room)/*.c)))
OBJS       = $(SRCS:src/%.c=$(OUT)/obj/%.o) $(OUT)/obj/modules.o

CHAT       = docs/examples/chat
REACT      = $(CHAT)/vendor/react.js

dash       = $(foreach f,$(1),$(subst /,-,$(patsubst t/%,%,$(f))))

FUZZERS    = $(sort $(wildcard t/*/*.fuzz.c))
UNITS      = $(filter-out t/lib/% $(FUZZERS),$(sort $(wildcard t/*/*.c)))
PERL       = $(sort $(wildcard t/*/*.t))
TARGETS    = $(FUZZERS:t/%.fuzz.c=%)

unit       = $(addprefix $(BUILD)/unit/,$(basename $(call dash,$(1))))
replay     = $(addprefix $(BUILD)/replay/,$(call dash,$(1:%.fuzz.c=%)))

# -- the module --------------------------------------------------------------

.PHONY: all deps run pictures test test-build asan sanitized-flags unit \
        fuzz fuzz-all layers chaos soak bench bench-build install clean help \
        FORCE \
        $(TARGETS:%=fuzz/%)
.DELETE_ON_ERROR:

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif

Q          = $(if $(V),,@)
say        = @$(if $(V),:,echo "  $(1)	$(2)")

# note TEXT: rewrites the target only if the text differs, so that what depends
# on it is remade when flags, compiler, nginx or the list of files changes.
note       = @mkdir -p $(@D); t='$(1)'; \
             [ "$$t" = "`cat $@ 2>/dev/null`" ] || echo "$$t" >$@

#: make             the module, build/ngx_http_wscast_module.so
all: $(MODULE)

$(BUILD)/nginx.id: FORCE
	$(call note,$(NGINX_SRC) $(shell $(NGINX) -V 2>&1 | cksum))

$(OUT)/flags: FORCE
	$(call note,$(shell $(CC) --version | head -n 1) $(CFLAGS))

$(OUT)/link: FORCE
	$(call note,$(LDFLAGS) $(LIBS) $(OBJS))

$(NGX)/includes: t/lib/nginx config $(BUILD)/nginx.id
	$(call say,CONF,$(NGX))
	$(Q)t/lib/nginx $(NGINX_SRC) $(NGINX) $(NGX)

NGX_OBJS   = $(filter $(FACED:%=$(OUT)/obj/%/%),$(OBJS)) $(OUT)/obj/modules.o

$(NGX_OBJS): $(NGX)/includes
$(NGX_OBJS): INCLUDES = @$(NGX)/includes

# What others may see must be visible; the linker's map picks from it.
$(OUT)/obj/http/module.o $(OUT)/obj/modules.o: \
    private CFLAGS += -fvisibility=default

$(OUT)/obj/%.o: src/%.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<

$(OUT)/obj/modules.o: $(NGX)/includes $(OUT)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(INCLUDES) -c -o $@ $(NGX)/objs/$(NAME)_modules.c

# Checked before it is put in place, and put in place at once, so that a
# running nginx keeps the file that it has mapped.
$(MODULE): $(OBJS) $(OUT)/link
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@.new $(OBJS) $(LIBS) \
	    -Wl,--version-script=$(NGX)/objs/$(NAME).map
	$(Q)t/lib/exports $@.new
	$(Q)mv $@.new $@

-include $(OBJS:.o=.d)

# -- unit tests, fuzzing -----------------------------------------------------

# A test of t/<room>/<file>.c includes the .c it examines, sees what its room
# may see, and names what else it links in a line "/* libs: ... */".
libs       = $$(sed -n 's,^/\* libs: \(.*\) \*/.*,\1,p' $(1))
room_of    = $(firstword $(subst /, ,$(1:t/%=%)))
# A test has seen libc's headers before nginx's can ask for GNU's extensions.
includes   = $(if $(filter $(FACED),$(call room_of,$(1))),\
               -D_GNU_SOURCE @$(NGX)/includes)

define unit_rule
$(2): $(1) $(BUILD)/unit/flags $(if $(call includes,$(1)),$(NGX)/includes)
	@mkdir -p $$(@D)
	$$(call say,CC,$(1))
	$$(Q)$$(CC) $$(UNIT_FLAGS) $(3) $(call includes,$(1)) -MMD -MP \
	    -MF $$@.d -MT $$@ -o $$@ $$< $$(call libs,$$<)
endef

$(foreach f,$(UNITS),$(eval $(call unit_rule,$(f),$(call unit,$(f)))))
$(foreach f,$(FUZZERS),$(eval $(call unit_rule,$(f),$(call \
    replay,$(f)).bin,-DWSCAST_FUZZ_REPLAY)))

# A replayer feeds the seeds, and RANDOM inputs of random bytes, to a fuzz
# target without libFuzzer.  prove gives no arguments, so that a script does.
corpus     = t/corpus/$(lastword $(subst -, ,$(subst /, ,$(1))))

$(call replay,$(FUZZERS)): %: %.bin
	@printf '#!/bin/sh\nexec %s %s %s\n' $< $(call corpus,$@) $(RANDOM) >$@
	@chmod +x $@

-include $(wildcard $(BUILD)/unit/*.d $(BUILD)/replay/*.d)

$(BUILD)/unit/flags: FORCE
	$(call note,$(shell $(CC) --version | head -n 1) $(UNIT_FLAGS))

#: make unit        the C tests alone, sanitized, and the seeds of t/corpus
unit: $(call unit,$(UNITS)) $(call replay,$(FUZZERS))
	prove -j$(JOBS) $^

# What a fuzzer finds goes to build/; a find worth keeping is copied to
# t/corpus by hand, smallest form first.
$(TARGETS:%=$(BUILD)/fuzz/%/fuzzer): $(BUILD)/fuzz/%/fuzzer: t/%.fuzz.c FORCE
	@mkdir -p $(@D)/finds
	clang $(FUZZ_FLAGS) -o $@ $< $(call libs,$<)

$(TARGETS:%=fuzz/%): fuzz/%: $(BUILD)/fuzz/%/fuzzer
	$< -runs=$(RUNS) -max_total_time=$(SECONDS) -print_final_stats=1 \
	    -artifact_prefix=$(<D)/ $(<D)/finds $(call corpus,$(<D))

#: make fuzz        T=wire/frame [RUNS=1000000] [SECONDS=60]: libFuzzer
fuzz: $(if $(T),fuzz/$(T))
	@[ -n "$(T)" ] || { echo "make fuzz T=<$(TARGETS)>" >&2; exit 1; }

#: make fuzz-all    RUNS runs of every target
fuzz-all: $(TARGETS:%=fuzz/%)

# -- tests -------------------------------------------------------------------

#: make layers      compare every #include with the table of rooms
layers:
	t/lib/layers

# TESTS='t/bus/redis.t t/wire/frame.c' runs some; their C sources stand for
# what is built of them.
chosen     = $(call unit,$(filter-out %.fuzz.c,$(filter %.c,$(1)))) \
             $(call replay,$(filter %.fuzz.c,$(1))) $(filter %.t,$(1))
WHICH      = $(or $(TESTS),$(UNITS) $(FUZZERS) $(PERL))
NPM_CI     = npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
NODE       = $(if $(filter t/browser/% t/client/package.t,$(WHICH)),\
               $(BUILD)/node) \
             $(if $(filter t/browser/% t/client/run.t,$(WHICH)),$(REACT))

$(BUILD)/node: t/browser/package-lock.json
	@mkdir -p $(@D)
	cd t/browser && $(NPM_CI)
	@touch $@

LOAD       = $(if $(filter t/bench/%,$(WHICH)),$(BUILD)/bench/load)

test-build: $(filter $(BUILD)/%,$(call chosen,$(WHICH))) $(MODULE) $(NODE) \
    $(LOAD)

# One make after another: what `deps` installs decides what the next one sees.
#: make test        everything, or TESTS='t/bus/redis.t t/wire/frame.c'
test:
	@$(DEPS) build test
	@$(MAKE) --no-print-directory test-build TESTS='$(TESTS)'
	@WSCAST_MODULE=$(abspath $(MODULE)) prove -j$(JOBS) \
	    $(call chosen,$(WHICH))

# What t/build/leaks.t builds a module of its own with.
sanitized-flags:
	@echo '$(SANITIZE) $(WRAP)'

# The same tests with the sanitized module; its runtimes must come first into
# nginx, which the harness sees to.
preload    = $(shell $(CC) -print-file-name=libasan.so) \
             $(shell $(CC) -print-file-name=libubsan.so)

#: make asan        the same, with the module sanitized
asan: export WSCAST_ASAN = 1
asan: export WSCAST_PRELOAD = $(preload)
asan: export LSAN_OPTIONS = \
    suppressions=$(abspath t/lib/lsan.supp):print_suppressions=0
asan:
	@$(MAKE) --no-print-directory test VARIANT=asan TESTS='$(TESTS)'

MODE       = both
SEED       =
MINUTES    = 2
PAUSE      =

KILLS      = 20
RELOADS    = 5
RESTARTS   = 5
REPEAT     = 2

ifeq ($(VARIANT),asan)
chaos soak: export WSCAST_ASAN = 1
chaos soak: export WSCAST_PRELOAD = $(preload)
chaos soak: export LSAN_OPTIONS = \
    suppressions=$(abspath t/lib/lsan.supp):print_suppressions=0
endif

#: make chaos       all at once goes wrong: [MODE=redis|embedded] [SEED=N]
#:                  [MINUTES=2] [PAUSE=seconds] [VARIANT=asan]
chaos: $(MODULE)
	@WSCAST_MODULE=$(abspath $(MODULE)) \
	    t/chaos/run '$(MODE)' '$(SEED)' '$(MINUTES)' '$(PAUSE)'

#: make soak        the same goes wrong again and again, and nothing leaks:
#:                  [MODE=redis|embedded] [SEED=N] [KILLS=20] [RELOADS=5]
#:                  [RESTARTS=5] [REPEAT=2] [VARIANT=asan]
soak: $(MODULE)
	@WSCAST_MODULE=$(abspath $(MODULE)) t/soak/run '$(MODE)' '$(SEED)' \
	    '$(KILLS)' '$(RELOADS)' '$(RESTARTS)' '$(REPEAT)'

# -- speed -------------------------------------------------------------------

BENCH       =
BENCH_FLAGS = -std=gnu11 -O2 -g $(WARN)

$(BUILD)/bench/load: $(wildcard t/bench/load/*.[ch])
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(BENCH_FLAGS) -o $@ $(filter %.c,$^) -lz

$(BUILD)/bench/floor: t/bench/floor/floor.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(BENCH_FLAGS) -o $@ $<

$(BUILD)/bench/node: t/bench/package-lock.json
	@mkdir -p $(@D)
	cd t/bench && $(NPM_CI)
	@touch $@

bench-build: $(MODULE) $(BUILD)/bench/load $(BUILD)/bench/floor $(BUILD)/bench/node

#: make bench       measure, and write docs/performance.md: [BENCH='echo idle']
#:                  BENCH=all: a million connections, too; ROUNDS=90: longer
bench:
	@$(DEPS) build bench
	@$(MAKE) --no-print-directory bench-build
	@WSCAST_MODULE=$(abspath $(MODULE)) t/bench/network t/bench/run $(BENCH)

# -- use ---------------------------------------------------------------------

# React comes from npm once; from then on the chat serves it itself.
$(REACT): $(CHAT)/package-lock.json $(CHAT)/vendor.mjs
	$(call say,NPM,$(@D))
	$(Q)cd $(CHAT) && $(NPM_CI) && node vendor.mjs

#: make deps        install from Debian what is missing
deps:
	@$(DEPS) build test bench

#: make run         serve the chat on two hosts; REDIS=off: on one, embedded
run:
	@$(DEPS) build run
	@$(MAKE) --no-print-directory all $(REACT)
	@MODULE=$(abspath $(MODULE)) REDIS=$(REDIS) docs/examples/chat/run

MODULES    = $(shell $(NGINX) -V 2>&1 | tr ' ' '\n' \
               | sed -n 's/^--modules-path=//p')

#: make pictures    docs/chat.png and docs/chat-phone.png, of the chat
pictures: all $(BUILD)/node $(REACT)
	cd t/browser && node pictures.mjs

#: make install     into nginx's modules directory, below DESTDIR
install: all
	install -D -m 644 $(MODULE) $(DESTDIR)$(MODULES)/$(NAME).so
	@echo 'in nginx.conf: load_module $(MODULES)/$(NAME).so;'

#: make clean       remove all that was made
clean:
	rm -rf $(BUILD) t/browser/node_modules t/bench/node_modules
	rm -rf $(CHAT)/node_modules $(CHAT)/vendor

#: make help        this list
help:
	@sed -n 's/^#: //p' Makefile
