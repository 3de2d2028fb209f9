/* SPDX-License-Identifier: PostgreSQL
 *
 * Walks WAL bytes as they come and says up to where they are proven: page headers in place, record
 * headers sane, xl_prev chain unbroken, CRC-32C right. Records may cross pages and segments.
 * Source: src/backend/access/transam/xlogreader.c and src/include/access/xlogrecord.h,
 * PostgreSQL 10 to 19 (the record header did not change in between).
 *
 * Push style and constant memory: feed any number of bytes at a time, in order. A start in the
 * middle of a record (xlp_rem_len > 0 on the first page) skips to the first whole record. The scan
 * must start at a page boundary. Pure; one scanner belongs to one thread.
 *
 * Legal and not an error: XLP_FIRST_IS_CONTRECORD, an overwritten contrecord (the aborted record is
 * dropped, XLP_FIRST_IS_OVERWRITE_CONTRECORD), the zeros after an XLOG_SWITCH record up to the
 * segment's end (short page headers inside those zeros appear when pages were initialised).
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"
#include "walrx/proto/walpage.h"
#include "walrx/proto/waltwophase.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_RECORD_HEADER_SIZE 24
/* Longest record PostgreSQL writes (XLogRecordMaxSize since 16); longer lengths are damage. */
#define WAL_RECORD_MAX_SIZE (1020u * 1024u * 1024u)

typedef enum WalScanState {
    WAL_SCAN_RUNNING, /* everything fed so far is fine */
    WAL_SCAN_END,     /* zeros or a page that is not its own: WAL ends here, not damage by itself */
    WAL_SCAN_DAMAGED, /* header, chain or CRC wrong: see error */
} WalScanState;

/* What stopped a scan: which part of a page or record was not as it must be. */
typedef enum WalScanFault {
    WAL_FAULT_NONE,
    WAL_FAULT_NO_PAGE,         /* END: a page header of zeros */
    WAL_FAULT_OTHER_PAGE,      /* END: the page names another address */
    WAL_FAULT_NO_RECORD,       /* END: zeros where a record must begin */
    WAL_FAULT_PAGE,            /* DAMAGED, and so are all below: the page header */
    WAL_FAULT_RECORD_LENGTH,   /* xl_tot_len */
    WAL_FAULT_RECORD_PREVIOUS, /* xl_prev */
    WAL_FAULT_RECORD_CRC,      /* wal_scan_pass_record may go on */
} WalScanFault;

typedef struct WalRecordHeader {
    uint32_t total_length;
    uint32_t xid;
    Lsn previous;
    uint8_t info;
    uint8_t rmgr;
    uint32_t crc;
    uint32_t inner_xid; /* not of the header: what a scan with a collector found inside the end of a
                           prepared transaction (waltwophase.h); else 0 */
} WalRecordHeader;

typedef struct WalScanner WalScanner;

/* Each proven record as it is found: scanner->last_record and last_header are its own, `body` holds
 * the first `length` bytes behind its header, during the call only. Nothing of the scanner may be
 * changed from here. */
typedef void (*WalRecordVisit)(void *context, const WalScanner *scanner, const uint8_t *body,
                               size_t length);

/* Of one resource manager. */
typedef struct WalTally {
    uint64_t records;
    uint64_t bytes; /* xl_tot_len */
} WalTally;
#define WAL_TALLIES 256

/* Who wants to see the records, not only that they are whole. The caller's, as is the buffer. */
typedef struct WalCollector {
    uint8_t *buffer; /* for bodies that do not come in one piece */
    size_t capacity; /* what a record has beyond that is not shown */
    WalRecordVisit visit;
    void *context;
    /* NULL: every record is visited. Otherwise WAL_TALLIES of them: most records, which are not of
     * RM_XLOG_ID or RM_XACT_ID and are seen at once to hold no page image, are only counted here.
     * May be changed between records. */
    WalTally *tally;
} WalCollector;

struct WalScanner {
    /* results: read freely */
    WalScanState state;
    Lsn position;   /* next byte expected by wal_scan_feed */
    Lsn proven_end; /* end of the last record whose CRC was right, MAXALIGNed; the start while none
                     */
    Lsn first_record;            /* LSN of the first whole record, LSN_INVALID while none */
    Lsn last_record;             /* LSN of the newest proven record */
    WalRecordHeader last_header; /* its header */
    uint64_t records;            /* proven so far */
    uint16_t magic;              /* of the newest page, 0 while none: tells the major version */
    Lsn fault_lsn;               /* with END or DAMAGED: the position that stopped the scan */
    WalScanFault fault;          /* with END or DAMAGED */
    uint64_t stray_bytes;        /* bytes of padding that are not zero: no reader minds them */
    Lsn stray_lsn;               /* the first of them; the user may reset both */
    Lsn found_address;           /* with WAL_FAULT_OTHER_PAGE: what the page names */
    Error error;                 /* with DAMAGED: what was expected and found */

    /* private */
    Lsn start;
    uint32_t segment_size;
    uint64_t system_identifier; /* 0: not checked */
    Timeline timeline;          /* newest seen; pages may only go up */
    int phase;                  /* what the bytes behind the page header belong to */
    uint32_t pending;           /* bytes of the page's header still to come */
    uint32_t gathered;          /* ... and those already here */
    uint8_t header_bytes[WAL_PAGE_LONG_HEADER];
    uint8_t record_bytes[WAL_RECORD_HEADER_SIZE];
    uint32_t record_gathered; /* bytes of the record's header already here */
    uint32_t record_left;     /* bytes of the record (or of its padding) still to come */
    uint32_t crc;
    Lsn record_start;
    Lsn previous_record; /* LSN_INVALID: unknown, xl_prev of the next one is not checked */
    bool skip_to_segment_end;
    const WalCollector *collector; /* NULL: nobody wants records */
    Lsn twophase_record;           /* whose bytes it gets */
    WalTwophase twophase;
};

/* `start` on a page boundary (a segment start is one). system_identifier 0 = accept any. */
void wal_scan_init(WalScanner *scanner, Lsn start, uint32_t segment_size,
                   uint64_t system_identifier);

/* Takes the next `length` bytes of the log. After END or DAMAGED it does nothing. Returns the
 * state. */
WalScanState wal_scan_feed(WalScanner *scanner, const void *data, size_t length);

/* From the next record on; call it before the first byte is fed. */
void wal_scan_collect(WalScanner *scanner, const WalCollector *collector);

/* XLOG_SWITCH: what follows it in its segment is not WAL. */
bool wal_record_is_switch(const WalRecordHeader *header);
/* Only with WAL_FAULT_RECORD_CRC: goes on behind that record, whose length and place were fine. The
 * bytes from `position` on are to be fed next; the record does not count as proven. */
void wal_scan_pass_record(WalScanner *scanner);

/* The start of the record that is not whole yet; LSN_INVALID between records. */
Lsn wal_scan_open_record(const WalScanner *scanner);
/* Up to here all is known to be right: the start of the record or page header that is not whole
 * yet, else `position`. (What a record that began before the scan holds cannot be known.) */
Lsn wal_scan_settled(const WalScanner *scanner);

/* Where recovery is behind the newest proven record: a switch takes the rest of its segment
 * (XLogDecodeNextRecord, xlogreader.c). */
Lsn wal_scan_record_end(const WalScanner *scanner);

/* What is wrong, or missing, at fault_lsn: with END or DAMAGED. */
void wal_scan_reason(const WalScanner *scanner, char *buffer, size_t capacity);

/* Is `position` behind a switch record, in what remains of its segment? */
bool wal_scan_behind_switch(const WalScanner *scanner);
