# PhaseSentinel collector. `make help` lists the targets.

# The order of the modules is the architecture: a module includes headers of modules to its left only.
MODULES = cause buffer text log map digest durable \
	hint number moment problem ini field template draft config schema \
	privilege datadir lock setup \
	watch spool waiting rows tally violation validate judge \
	ledger seen training merge disposal stats report intake \
	command command_check command_merge command_save command_stats
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
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(WARNINGS) $(CFLAGS)
DEFINES = -DVERSION='"$(VERSION)"' -DCONFIG_FILE='"$(configdir)/phasesentinel.ini"'
LIBS = -lcsv -liniparser -lnettle -lxxhash -ljansson
WATCH_LIBS = -linotifytools

LIBRARY = $(BUILD)/libphasesentinel.a
OBJECTS = $(patsubst %,$(BUILD)/%.o,$(filter-out command,$(MODULES)))

all: $(PROGRAMS:%=$(BUILD)/%) ## build the programs

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) $(DEFINES) $(CPPFLAGS) -MMD -MP -c $< -o $@

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/phasesentineld: $(BUILD)/phasesentineld.o $(LIBRARY)
	@echo "  LINK  $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(WATCH_LIBS) $(LIBS) -o $@

$(BUILD)/phasesentinel: $(BUILD)/phasesentinel.o $(LIBRARY)
	@echo "  LINK  $@"
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

-include $(wildcard $(BUILD)/*.d)
