/*
 * watch: inotify events of the drop directory, through libinotifytools.
 *
 * No other module includes libinotifytools. The library keeps its descriptor, its trees and its
 * event buffer in static variables, so a process has one watch, used by one thread, and the
 * functions here take no object. Open the watch before other descriptors: the library waits with
 * select(), so a descriptor from 1024 on is refused.
 *
 *     watch_open         then scan the directory, never before: a file that arrives between a scan
 *                        and watch_open would be missed
 *     watch_next         when watch_fd is readable, until WATCH_NONE. One read takes many events
 *                        into the library's buffer; the descriptor is not readable then although
 *                        events are left.
 *     watch_close        on WATCH_LOST; then call watch_open until it succeeds, and add the new
 *                        descriptor to epoll again
 *
 * Each directory below has a watch of its own. Call watch_enter before each listing of one; then
 * what arrives in it is either listed or reported. On WATCH_DIRECTORY list that directory; on
 * WATCH_OVERFLOW list all of them, because their watches are gone. All names are relative to the
 * drop directory: "alice/one.csv".
 *
 * No event proves that a file is complete, and some changes cause no event: a directory is mounted
 * over, or removed while this process has it open; a parent is renamed; another machine writes. So
 * ask watch_is_stale, and scan from a timer too. A crash leaves nothing: the watch ends with the
 * process.
 */
#ifndef PHASESENTINEL_WATCH_H
#define PHASESENTINEL_WATCH_H

#include <stdbool.h>

#include "base/cause.h"

enum watch_kind {
    WATCH_NONE, /* no event is left */
    /* A file was created or linked, or its attributes changed; it is complete or only begun. */
    WATCH_APPEARED,
    /* A writer closed a file, or it was moved in; it is complete or cut off. */
    WATCH_CLOSED,
    WATCH_GONE, /* a file was removed or moved away */
    /* A directory came, or its attributes changed, perhaps so that we may read it now: list it. */
    WATCH_DIRECTORY,
    /* A directory went with everything in it, or its watch is lost: scan everything soon. */
    WATCH_DIRECTORY_GONE,
    WATCH_OVERFLOW, /* the kernel dropped events: scan everything */
    /* The drop directory was removed, renamed or unmounted, or the watch broke: open it again. */
    WATCH_LOST,
};

/* Watch `dir`. Return 0, or -1 with nothing open and CAUSE_RETRY; the cause says what to raise or
 * repair. */
int watch_open(const char *dir, struct cause *cause);

/* Watch a directory below too. If another directory was watched under this name, remove that watch.
 * Return -1 if the directory cannot be watched; the cause says why, and what to raise. */
int watch_enter(const char *name, struct cause *cause);

/* Return the descriptor to wait on; do not read from it, nor close it. -1 while the watch is closed. */
int watch_fd(void);

/* Return the next event. *ret_name is borrowed until the next call in this module; NULL if the event
 * has no name. */
enum watch_kind watch_next(const char **ret_name);

/* Return true if the path no longer names the directory that is watched. */
bool watch_is_stale(void);

/* Return true if so many directories have come and gone that the watch should be opened again: the
 * library frees what it stored of them only when it is closed. */
bool watch_needs_reopen(void);

/* Close the watch; a closed one is accepted. */
void watch_close(void);

#endif
