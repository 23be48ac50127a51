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

# VARIANT=asan is the same module with sanitizers and our own debug checks;
# nothing that nginx compares in the module's signature may differ.
ifeq ($(VARIANT),asan)
OUT        = $(BUILD)/asan
OPTIMIZE   = -O1 -DWSCAST_DEBUG $(SANITIZE)
else
OUT        = $(BUILD)
OPTIMIZE   = -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
endif

CFLAGS     = -std=gnu11 $(OPTIMIZE) -g -fPIC -fvisibility=hidden $(WARN)
LDFLAGS    = -Wl,-z,relro -Wl,-z,now
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

dash       = $(foreach f,$(1),$(subst /,-,$(patsubst t/%,%,$(f))))

FUZZERS    = $(sort $(wildcard t/*/*.fuzz.c))
UNITS      = $(filter-out $(FUZZERS),$(sort $(wildcard t/*/*.c)))
PERL       = $(sort $(wildcard t/*/*.t))
TARGETS    = $(FUZZERS:t/%.fuzz.c=%)

unit       = $(addprefix $(BUILD)/unit/,$(basename $(call dash,$(1))))
replay     = $(addprefix $(BUILD)/replay/,$(call dash,$(1:%.fuzz.c=%.replay)))

# -- the module --------------------------------------------------------------

.PHONY: all deps run test asan unit replay fuzz fuzz-all layers install \
        clean help FORCE
.DELETE_ON_ERROR:

ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(JOBS)
endif

Q          = $(if $(V),,@)
say        = @$(if $(V),:,echo "  $(1)	$(2)")

# note TEXT: rewrites the target only if the text differs, so that what depends
# on it is remade when flags, compiler, nginx or the list of files changes.
note       = @mkdir -p $(@D); t='$(1)'; \
             [ "$$t" = "`cat $@ 2>/dev/null`" ] || echo "$$t" >$@

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
$(OUT)/obj/http/module.o $(OUT)/obj/modules.o: CFLAGS += -fvisibility=default

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
