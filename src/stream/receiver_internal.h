/* SPDX-License-Identifier: PostgreSQL
 *
 * What receiver.c (the whole run), session.c (one connection) and stream.c (one timeline of it)
 * share. Private to src/stream; everything here belongs to the stream thread.
 */
#pragma once

#include "monitor.h"

#include "walrx/archive/archive.h"
#include "walrx/archive/compressor.h"
#include "walrx/archive/joint.h"
#include "walrx/archive/store.h"
#include "walrx/os/wakeup.h"
#include "walrx/proto/result.h"
#include "walrx/proto/timeline.h"
#include "walrx/stream/machine.h"
#include "walrx/stream/receiver.h"

typedef struct Receiver {
    const ReceiverOptions *options;
    Control *control;
    ReceiverTunables tunables;
    Machine machine;
    Archive archive;
    Bell bell;        /* rung by the store, the workers and the monitor */
    Monitor *monitor; /* NULL: none */
    /* from the first time the archive is bound */
    Store *store;
    Compressor *compressor;
    /* of the connection in use */
    Connection *connection; /* NULL between sessions */
    IdentifySystemResult server;
    bool in_recovery;        /* as the server was when it told that */
    TimelineHistory history; /* of the server's timeline; points into switches */
    TimelineSwitch *switches;
    ReadSlotResult slot;
    bool slot_unread;    /* before PostgreSQL 15, without the view: not even whether it exists */
    bool slot_lost;      /* the server removed WAL that it was to keep */
    bool slot_made;      /* by us, over this connection: nothing was ever reported with it */
    bool shown;          /* options->watch knows the archive */
    bool new_connection; /* nothing was streamed over it yet */
    Joint joint;         /* does the first WAL of this stream continue what is archived? */
    /* what this process made durable, kept over connections */
    Timeline durable_timeline;
    Lsn durable_lsn; /* LSN_INVALID: nothing yet */
    /* the open segment after the last session, for the compressed partial of pg_receivewal */
    Timeline open_timeline;
    Lsn open_lsn;     /* LSN_INVALID: none is worth packing */
    bool dropped_wal; /* received, but there was no room for it */
    Lsn progress_lsn; /* highest flush of any session: a failure behind it is a new one */
    /* told already */
    Timeline told_unknown_timeline;
    Timeline told_fork_of;
    Lsn told_unchecked_joint;
    Timeline told_archived_history;
    Timeline told_missing_history;
    uint64_t no_room_since_ms; /* 0: there is room */
    bool told_slot_unread;
    bool told_slot_unreserved;
    bool told_slot_revived;
    bool slot_view_refused; /* once is enough in the server's log */
} Receiver;

/* For telemetry (notes.c). */
void note_state(Receiver *receiver, ReceiverState state);
void note_failure(Receiver *receiver, const Error *error);
/* Settings, and the server where there is a connection. */
void note_session(Receiver *receiver);
/* To the monitor: which connection WAL streams over, or that none does. */
void note_stream(Receiver *receiver);
/* Where the stages of the stream are; all below `durable` was so before it began. */
void note_positions(Receiver *receiver, Lsn durable, HoldCause held, uint64_t now_ns);

/* To options->watch. */
void receiver_show_archive(Receiver *receiver, Store *store);

/* A slot or --synchronous: the server is told what is durable. */
bool receiver_reports_flush(const Receiver *receiver);
/* --synchronous, or the server has us as a synchronous standby: WAL is flushed as it arrives. */
bool receiver_is_prompt(const Receiver *receiver);

/* One connection from connect to its end. True: the run is over (stop, end position). The
 * connection is closed and everything received is durable on return, also on failure. */
bool session_run(Receiver *receiver, Error *err) MUST_CHECK;

/* The WAL of `timeline` is durable up to `flushed`: remembered when it is more than was known. */
void session_note_durable(Receiver *receiver, Timeline timeline, Lsn flushed);

/* The server no longer has the WAL at *lsn, as *err says. Moves both behind the gap and records it,
 * or makes *err the error that tells its ends. */
bool session_step_over_gap(Receiver *receiver, Timeline *timeline, Lsn *lsn, Error *err) MUST_CHECK;

typedef enum StreamEnd {
    STREAM_DONE,          /* stop asked for, or the end position reached */
    STREAM_NEXT_TIMELINE, /* *ret_next tells which, and where */
} StreamEnd;

/* Streams one timeline from `lsn`, which store_start has been told, until it ends. `floor`: no
 * flush below is reported. Everything received is durable on return, also on failure. */
bool stream_timeline(Receiver *receiver, Timeline timeline, Lsn lsn, Lsn floor, StreamEnd *ret_end,
                     EndOfTimelineResult *ret_next, Error *err) MUST_CHECK;
