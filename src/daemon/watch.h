/*
 * watch: what the kernel says about the drop directory.
 *
 * The one module that knows libinotifytools. That library keeps its descriptor, its trees and its
 * event buffer in static variables, so there is one watch in a process, used from one thread, and
 * the functions here take no object. Open it before other descriptors: the library waits with
 * select(), a number from 1024 on is refused.
 *
 * Order of calls: watch_open; then scan the directory (never before: what arrives between scan and
 * watch would be missed). When watch_fd is readable, call watch_next until WATCH_NONE: one read
 * takes many events into the library's buffer, behind which the descriptor is not readable though
 * events wait. On WATCH_LOST call watch_close, and watch_open again until it works; the new
 * descriptor must be put into epoll again.
 *
 * Directories below have a watch each, from watch_enter, which is called whenever one is looked
 * into, and before it is: then what arrives in it is either listed or told. On WATCH_DIRECTORY,
 * look into that one; on WATCH_OVERFLOW into all of them, their watches are gone. All names are
 * relative to the drop directory, "alice/one.csv".
 *
 * No event proves a file complete, and some changes cause none: a directory mounted over, one
 * removed while somebody holds it open (we do), a parent renamed, writes from another machine. So
 * ask watch_is_stale and scan from a timer too. A crash leaves nothing: the watch dies with the
 * process.
 */
#ifndef PHASESENTINEL_WATCH_H
#define PHASESENTINEL_WATCH_H

#include <stdbool.h>

#include "base/cause.h"

enum watch_kind {
    WATCH_NONE,      /* drained */
    WATCH_APPEARED,  /* a file: created, linked, or its attributes changed; complete, or only begun
                      */
    WATCH_CLOSED,    /* a file: a writer closed it, or it was moved in; complete, or cut off */
    WATCH_GONE,      /* a file: removed, or moved away */
    WATCH_DIRECTORY, /* a directory came, or others may read it than before: look into it */
    WATCH_DIRECTORY_GONE, /* a directory went with all that was in it, or its watch is lost: scan
                             all of them, soon */
    WATCH_OVERFLOW,       /* events were dropped: scan the directory */
    WATCH_LOST, /* the directory was removed, renamed or unmounted, or the watch broke: open again
                 */
};

/* Watches `dir`. 0, or -1 with nothing open and a cause of kind CAUSE_RETRY that says what to
 * raise or repair. */
int watch_open(const char *dir, struct cause *cause);

/*
 * Watches a directory below as well, and takes back what was watched under its name if that was
 * another one. -1 if it cannot be watched: the cause says why, and what to raise.
 */
int watch_enter(const char *name, struct cause *cause);

/* The descriptor to wait on for reading; not to be read from, nor closed. -1 while not open. */
int watch_fd(void);

/* The next event. *ret_name is borrowed until the next call here, NULL where the event speaks of no
 * file. */
enum watch_kind watch_next(const char **ret_name);

/* Does the path no longer name the directory that is watched? */
bool watch_is_stale(void);

/* Have so many directories below come and gone that the watch should be opened again? */
bool watch_needs_reopen(void);

void watch_close(void); /* takes a closed one */

#endif
