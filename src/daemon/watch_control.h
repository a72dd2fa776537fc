/*
 * watch_control: what the daemon does about the drop directory: watch it, scan it, and tell the
 * batch what arrives.
 *
 *     watch_control_init
 *     watch_control_open      watch the directory; then, and never before, scan it
 *     watch_control_scan      after watch_control_open, and whenever next_scan has come
 *     watch_control_take      when the watch's descriptor is readable, and once a round
 *     watch_control_check     when next_scan has come, before that scan
 *     watch_control_close
 *
 * The directory may vanish at any time: the watch is lost then, and the caller opens it again when
 * next_open has come. Whatever happens in between is found by the scan that follows.
 */
#ifndef PHASESENTINEL_WATCH_CONTROL_H
#define PHASESENTINEL_WATCH_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/batch.h"
#include "ops/session.h"

struct watch_control {
    const struct session *session; /* borrowed, as the batch */
    struct batch *batch;
    int epoll;     /* borrowed; the watch's descriptor is added to it */
    bool watching; /* the watch is open */
    bool polls;    /* true if the last scan found a directory that must be scanned often */
    bool logged_fs_type, logged_unwatched;
    int64_t next_scan; /* time of the next scan */
    int64_t next_open; /* time of the next attempt to open the watch, while not watching */
    int64_t scan_time; /* duration of the last scan */
};

void watch_control_init(struct watch_control *control, const struct session *session,
                        struct batch *batch, int epoll);

/* Open the watch. Return 0, or -1 with CAUSE_RETRY and next_open set. */
int watch_control_open(struct watch_control *control, struct cause *cause);

/* Scan the drop directory: what arrived is due at `due`. Fails as batch_scan does, and sets
 * next_scan in either case. */
int watch_control_scan(struct watch_control *control, int64_t due, struct cause *cause);

enum watch_control_result {
    WATCH_CONTROL_FAILED = -1, /* with a cause; the events that are left come at the next call */
    WATCH_CONTROL_DONE,
    WATCH_CONTROL_RESCAN, /* events were lost: scan now */
};

/* Take all events: what arrived is due at `due`. */
enum watch_control_result watch_control_take(struct watch_control *control, int64_t due,
                                             struct cause *cause);

/* Return true if the watch is open and still sees the directory. Otherwise close it, and put the
 * next scan off. */
bool watch_control_check(struct watch_control *control);

/* Return true if the watch is to be opened, for the first time or again. */
bool watch_control_needs_open(struct watch_control *control, int64_t now);

void watch_control_close(struct watch_control *control);

/* Watch a directory before it is listed; the dropdir_enter_fn for the batch. */
void watch_control_enter(void *context, const char *directory, int fd);

#endif
