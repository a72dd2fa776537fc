# PhaseSentinel collector. `make help` lists the targets.

# The folders of src/, and in each the modules, in their order: the architecture. A module includes headers of its own folder
# and of folders before it, and within its folder those before it; `make lint` proves that.
FOLDERS = base fs schema csv store drop ingest ops cli daemon
MODULES_base = cause buffer vector decimal datetime clock escape log hash_index thread_pool digest sorted_set
MODULES_fs = csv_name durable dir_list lock_file fs_type file_id lease beneath backup_name privilege sandbox
MODULES_schema = suggestion regex ini_problems ini field value_cache name_template field_parser config schema
MODULES_csv = csv_reader csv_file tally violations column_map row_check csv_scan fast_path decompress content_hash check_result file_check
MODULES_store = datadir ledger_line ledger_index ledger_file ledger spill appender training_header training transaction tally_file
MODULES_drop = ingest_event sidecar drop_scan pending pending_file file_cache dropdir
MODULES_ingest = move_out placement placement_recovery quarantine_scan history upload gate reader_pool classify outcome adopt batch
MODULES_ops = session json report publish merge_run status save
MODULES_cli = command cmd_check cmd_merge cmd_adopt cmd_save cmd_stats cmd_status main
MODULES_daemon = log_throttle watch watch_control phasesentineld
PROGRAMS = phasesentineld phasesentinel
VERSION = 0.1.0

prefix = /usr/local
sysconfdir = /etc
localstatedir = /var
bindir = $(prefix)/bin
sbindir = $(prefix)/sbin
mandir = $(prefix)/share/man
configdir = $(sysconfdir)/phasesentinel
datadir = $(localstatedir)/lib/phasesentinel

BUILD = build
CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(WARNINGS) $(WERROR) $(CFLAGS)
DEFINES = -DVERSION='"$(VERSION)"' -DCONFIG_FILE='"$(configdir)/phasesentinel.ini"'
LIBS = -pthread -lcsv -liniparser -lnettle -lxxhash -ljansson -lz -lzstd
WATCH_LIBS = -linotifytools

SOURCES = $(wildcard src/*/*.c)
HEADERS = $(wildcard src/*/*.h)
TESTS_C = $(wildcard tests/lib/*.[ch] tests/unit/*/*.c tests/fuzz/*.[ch])
LIBRARY = $(BUILD)/libphasesentinel.a
CLI = $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/cli/*.c))
DAEMON = $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/daemon/*.c))
OBJECTS = $(filter-out $(CLI) $(DAEMON),$(patsubst src/%.c,$(BUILD)/%.o,$(SOURCES)))

all: $(PROGRAMS:%=$(BUILD)/%) ## build the programs

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $(DEFINES) -Isrc $(CPPFLAGS) -MMD -MP -c $< -o $@

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/phasesentineld: $(DAEMON) $(LIBRARY)
	@echo "  LINK  $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(WATCH_LIBS) $(LIBS) -o $@

$(BUILD)/phasesentinel: $(CLI) $(LIBRARY)
	@echo "  LINK  $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

-include $(wildcard $(BUILD)/*/*.d)

# ---- the two commands of the README --------------------------------------------------------------

# Debian's packages: to build, to test, to lint.
BUILD_PACKAGES = gcc libc6-dev libcsv-dev libiniparser-dev libinotifytools0-dev nettle-dev libxxhash-dev libjansson-dev \
	zlib1g-dev libzstd-dev
CHECK_PACKAGES = python3 strace openssh-server openssh-client rsync zip unzip zstd mandoc procps util-linux bindfs vim-tiny nano curl
LINT_PACKAGES = clang clang-format clang-tidy cppcheck shellcheck mandoc libclang-rt-14-dev valgrind

# Root needs no sudo; a data directory that belongs to root needs --allow-root.
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
ALLOW_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)

# Installs those of the packages $(1) that are missing.
define install_packages
	@missing=$$(for p in $(1); do dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null | \
		grep -qx installed || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "  APT   $$missing" | tr '\n' ' '; echo; \
		$(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends $$missing; fi
endef

.PHONY: all deps check-deps lint-deps run check units differential growing races fuzz corpus bench lint clang-warnings analyze format asan asan-build valgrind install uninstall dist clean help

deps: ## install the packages that are missing for building
	$(call install_packages,$(BUILD_PACKAGES))

check-deps: deps
	$(call install_packages,$(CHECK_PACKAGES))

lint-deps: check-deps
	$(call install_packages,$(LINT_PACKAGES))

run: deps ## build, and run the daemon on data/ (Ctrl-C ends it)
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@exec $(BUILD)/phasesentineld $(ALLOW_ROOT) -c etc/phasesentinel.ini

check: check-deps ## build, then every test (WITH_ASAN=yes: those of `make asan` in the same queue)
	@$(MAKE) --no-print-directory -j$$(nproc) all units
	@$(if $(WITH_ASAN),$(MAKE) --no-print-directory -j$$(nproc) asan-build)
	@BUILD=$(abspath $(BUILD)) $(if $(WITH_ASAN),SHORT_BUILD=$(abspath $(ASAN))) tests/run

UNITS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*/*.c))

# A fuzz target with replay.c is a test of its corpus; with libFuzzer it looks for more.
TARGETS = $(patsubst tests/fuzz/%.c,%,$(filter-out %/replay.c,$(wildcard tests/fuzz/*.c)))
REPLAYS = $(TARGETS:%=$(BUILD)/corpus/%)
FUZZERS = $(TARGETS:%=$(BUILD)/fuzzer/%)
FUZZ_DEFINES = -DSHIPPED_SCHEMA='"$(abspath etc/schema.ini)"' -DCORPUS='"$(abspath tests/fuzz/corpus/$*)"'

units: $(UNITS) $(REPLAYS) ## build the unit tests, and what replays the corpora of the fuzzers

# What a test of the daemon's modules needs beside the library.
$(filter $(BUILD)/unit/daemon/%,$(UNITS)): $(filter-out %/phasesentineld.o,$(DAEMON))

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  UNIT  $@"
	@$(CC) $(ALL_CFLAGS) $(CPPFLAGS) -Isrc -Itests -MMD -MP -MF $@.d $(LDFLAGS) $< $(filter %.o,$^) $(LIBRARY) \
		$(WATCH_LIBS) $(LIBS) -o $@

FUZZ_COMPILE = $(CC) $(ALL_CFLAGS) $(CPPFLAGS) -Isrc -Itests $(FUZZ_DEFINES) -MMD -MP -MF $@.d $(LDFLAGS) $(FUZZ_LDFLAGS)

$(BUILD)/corpus/csv $(BUILD)/fuzzer/csv $(BUILD)/corpus/unpack $(BUILD)/fuzzer/unpack: FUZZ_LDFLAGS = -Wl,--wrap=csv_reader_space
$(BUILD)/corpus/ledger $(BUILD)/fuzzer/ledger $(BUILD)/corpus/state $(BUILD)/fuzzer/state: \
	FUZZ_LDFLAGS = -Wl,--wrap=fsync,--wrap=fdatasync
$(BUILD)/corpus/ini $(BUILD)/fuzzer/ini: FUZZ_LDFLAGS = -Wl,--wrap=log_line
$(BUILD)/corpus/name $(BUILD)/fuzzer/name: FUZZ_LDFLAGS = -Wl,--wrap=write,--wrap=durable_replace

$(BUILD)/corpus/%: tests/fuzz/%.c tests/fuzz/replay.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  REPLAY $@"
	@$(FUZZ_COMPILE) $(filter %.c %.a,$^) $(LIBS) -o $@

$(BUILD)/fuzzer/%: tests/fuzz/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  FUZZER $@"
	@$(FUZZ_COMPILE) -fsanitize=fuzzer $(filter %.c %.a,$^) $(LIBS) -o $@

-include $(wildcard $(BUILD)/unit/*/*.d $(BUILD)/corpus/*.d $(BUILD)/fuzzer/*.d)

differential: units ## the quick pass against the reference on INPUTS random files (default 10^8; SEED=N for others)
	@parts=$$(nproc); pids=; for part in $$(seq $$parts); do \
		$(BUILD)/unit/csv/fast_path $$(($(or $(INPUTS),100000000) / parts)) $$(($(or $(SEED),0) * parts + part)) & \
		pids="$$pids $$!"; done; \
	for pid in $$pids; do wait $$pid || exit 1; done

FUZZ = $(BUILD)/fuzz
FUZZ_TIME ?= 60
FUZZ_TARGETS ?= $(TARGETS)
# A second thread, and memory that goes back to the kernel, cost more than the inputs. What leaks, `make asan` finds.
FUZZ_OPTIONS = -timeout=10 -max_len=4096 -rss_limit_mb=0 -malloc_limit_mb=512 -detect_leaks=0
FUZZ_ASAN = quarantine_size_mb=8:allocator_release_to_os_interval_ms=-1:max_malloc_fill_size=0

fuzz: lint-deps ## look FUZZ_TIME seconds for input on which a target fails (FUZZ_TARGETS="csv ini" for these)
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(FUZZ) CC=clang CFLAGS='$(SANITIZE) -fsanitize=fuzzer-no-link' fuzzers
	@for t in $(FUZZ_TARGETS); do mkdir -p $(FUZZ)/found/$$t; echo "  FUZZ  $$t"; \
		dict=$$(ls tests/fuzz/$$t.dict 2>/dev/null); ASAN_OPTIONS=$(FUZZ_ASAN) $(FUZZ)/fuzzer/$$t $(FUZZ_OPTIONS) \
		-max_total_time=$(FUZZ_TIME) -print_final_stats=1 -artifact_prefix=$(FUZZ)/$$t- $${dict:+-dict=$$dict} \
		$(FUZZ)/found/$$t tests/fuzz/corpus/$$t 2>$(FUZZ)/$$t.log || { tail -n 40 $(FUZZ)/$$t.log; exit 1; }; \
		grep -E 'cov:|stat::number_of' $(FUZZ)/$$t.log | tail -n 2; done

fuzzers: $(FUZZERS)

# Of these more is kept than reaches all code: there it is the values that matter.
FUZZ_KEEP_MORE = csv ledger

corpus: ## take what the fuzzers found into their corpora, as little as covers all; named inputs stay
	@for t in $(FUZZ_TARGETS); do echo "  MERGE $$t"; rm -rf $(FUZZ)/merged/$$t; mkdir -p $(FUZZ)/merged/$$t; \
		case " $(FUZZ_KEEP_MORE) " in *" $$t "*) all=1 ;; *) all=0 ;; esac; \
		$(FUZZ)/fuzzer/$$t -merge=1 -set_cover_merge=1 -use_counters=$$all -max_len=4096 \
		$(FUZZ)/merged/$$t tests/fuzz/corpus/$$t $(FUZZ)/found/$$t 2>$(FUZZ)/$$t.log || exit 1; \
		find tests/fuzz/corpus/$$t -regextype egrep -regex '.*/[0-9a-f]{40}' -delete; \
		cp $(FUZZ)/merged/$$t/* tests/fuzz/corpus/$$t; done

races: all ## files are swapped under the collector's hands for a minute (RACES="--seconds 600")
	@tests/stress/races.py --build $(abspath $(BUILD)) $(RACES)

growing: all ## 1,000 files grow for 100 rounds, while the daemon is killed (GROWING="--files 100 --rounds 20")
	@BUILD=$(abspath $(BUILD)) tests/e2e/arrive/growing.sh --files 1000 --rounds 100 --kills 100 $(GROWING)

bench: all ## measure against cat (BENCH="--files 100" for a smaller run)
	@BUILD=$(abspath $(BUILD)) tests/bench/bench.py $(BENCH)

# ---- what else must hold -------------------------------------------------------------------------

SCRIPTS = tests/run $(wildcard tests/lint/*.sh tests/lib/*.sh tests/e2e/*/*.sh) .ci/run
LINTS = format order style commits gcc clang tidy cppcheck shell man

lint: lint-deps ## every rule that is checked without a run: format, order of modules, style, warnings, scripts, man pages
	@$(MAKE) --no-print-directory -k -j$$(nproc) -Otarget $(LINTS:%=lint-%)

.PHONY: $(LINTS:%=lint-%)

lint-format:
	@clang-format --dry-run -Werror $(SOURCES) $(HEADERS) $(TESTS_C)

lint-order:
	@tests/lint/order.sh $(foreach f,$(FOLDERS),$(MODULES_$f:%=$f/%))

lint-style:
	@tests/lint/style.py

lint-commits:
	@tests/lint/commits.sh

# Builds what is not built yet. .ci/run builds all of it with WERROR before.
lint-gcc:
	@$(MAKE) --no-print-directory WERROR=-Werror all units

lint-clang:
	@$(MAKE) --no-print-directory clang-warnings

# $(call clang_tidy,CHECKS,SOURCES): run clang-tidy on the sources, two at a time for each processor's turn.
define clang_tidy
	@echo $(2) | xargs -r -P $$(nproc) -n 2 sh -c 'clang-tidy --quiet --warnings-as-errors="*" --checks=$(1) "$$@" -- \
		-std=c17 -D_GNU_SOURCE -Isrc -DVERSION=\"x\" -DCONFIG_FILE=\"x\" 2>/dev/null' clang-tidy
endef

lint-tidy:
	$(call clang_tidy,-clang-analyzer-*,$(SOURCES))

lint-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr -j $$(nproc) \
		--suppress=missingIncludeSystem --suppress=ctuuninitvar --error-exitcode=1 $(DEFINES) -D_GNU_SOURCE -Isrc src

lint-shell:
	@echo $(SCRIPTS) | xargs -P $$(nproc) -n 4 shellcheck -x

lint-man:
	@mandoc -T lint -W warning man/*

analyze: lint-deps ## clang's static analyzer, five minutes (ANALYZE="src/csv/csv_scan.c" for these sources alone)
	$(call clang_tidy,-*$(comma)clang-analyzer-*$(comma)-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,$(or $(ANALYZE),$(SOURCES)))

comma = ,

# clang's warnings come from its front end: it need not build. gcc has some that come from optimizing.
CLANG_CHECKS = $(patsubst %,clang-warnings/%,$(SOURCES) $(filter %.c,$(TESTS_C)))

clang-warnings: $(CLANG_CHECKS)

$(CLANG_CHECKS): clang-warnings/%:
	@clang -fsyntax-only -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(WARNINGS) -Werror $(DEFINES) -Isrc -Itests \
		-DSHIPPED_SCHEMA='""' -DCORPUS='""' $*

format: ## format the sources
	clang-format -i $(SOURCES) $(HEADERS) $(TESTS_C)

# The daemon confines itself to its files, but the leak checker reads /proc.
SANITIZE = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ASAN = $(BUILD)/asan

asan-build:
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(ASAN) CFLAGS='$(SANITIZE)' \
		CPPFLAGS='-DSANDBOX_ALSO=\"/proc\"' all units

asan: check-deps asan-build ## every test under ASan and UBSan, with fewer repetitions
	@TEST_SHORT=1 BUILD=$(abspath $(ASAN)) tests/run

valgrind: lint-deps all units ## the unit tests under valgrind, descriptors too
	@for t in $(filter-out %/watch,$(UNITS)); do echo "  VALGRIND $$t"; UNIT_SHORT=1 valgrind --quiet --error-exitcode=9 \
		--leak-check=full --track-fds=yes $$t >/dev/null || exit 1; done

# ---- installing ----------------------------------------------------------------------------------

MAN1 = man/phasesentinel.1
MAN5 = man/phasesentinel.ini.5 man/phasesentinel-formats.5 man/phasesentinel-schema.5
MAN8 = man/phasesentineld.8
CONFIGS = phasesentinel.ini schema.ini
pristine = $(prefix)/share/phasesentinel

install: all ## install below DESTDIR and prefix; an edited configuration stays
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(sbindir) $(DESTDIR)$(configdir) $(DESTDIR)$(pristine) \
		$(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man8
	install -m 755 $(BUILD)/phasesentinel $(DESTDIR)$(bindir)
	install -m 755 $(BUILD)/phasesentineld $(DESTDIR)$(sbindir)
	install -m 644 $(MAN1) $(DESTDIR)$(mandir)/man1
	install -m 644 $(MAN5) $(DESTDIR)$(mandir)/man5
	install -m 644 $(MAN8) $(DESTDIR)$(mandir)/man8
	sed 's|^data_dir = .*|data_dir = $(datadir)|' etc/phasesentinel.ini >$(DESTDIR)$(pristine)/phasesentinel.ini.dist
	install -m 644 etc/schema.ini $(DESTDIR)$(pristine)/schema.ini.dist
	@for f in $(CONFIGS); do \
		if [ -e $(DESTDIR)$(configdir)/$$f ]; then echo "keeping $(configdir)/$$f"; \
		else install -m 644 $(DESTDIR)$(pristine)/$$f.dist $(DESTDIR)$(configdir)/$$f; fi; done

uninstall: ## take away what install put there, but no data and no edited configuration
	@for f in $(CONFIGS); do \
		if cmp -s $(DESTDIR)$(pristine)/$$f.dist $(DESTDIR)$(configdir)/$$f; then rm -f $(DESTDIR)$(configdir)/$$f; \
		elif [ -e $(DESTDIR)$(configdir)/$$f ]; then echo "keeping $(configdir)/$$f: it was edited"; fi; done
	rm -f $(DESTDIR)$(bindir)/phasesentinel $(DESTDIR)$(sbindir)/phasesentineld
	rm -f $(addprefix $(DESTDIR)$(mandir)/man1/,$(notdir $(MAN1))) \
		$(addprefix $(DESTDIR)$(mandir)/man5/,$(notdir $(MAN5))) \
		$(addprefix $(DESTDIR)$(mandir)/man8/,$(notdir $(MAN8)))
	rm -rf $(DESTDIR)$(pristine)
	-@rmdir $(DESTDIR)$(configdir) 2>/dev/null

dist: ## a tarball of what git has
	git archive --prefix=phasesentinel-$(VERSION)/ -o $(BUILD)/phasesentinel-$(VERSION).tar.gz HEAD

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile
