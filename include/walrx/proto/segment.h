/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL segments and the names of the files in an archive directory.
 * Facts: src/include/access/xlog_internal.h, PostgreSQL 15 (XLByteToSeg, XLogFileName,
 * IsXLogFileName, TLHistoryFileName, BackupHistoryFileName; WalSegMinSize/MaxSize).
 *
 * The only place that makes or reads such names. Pure.
 */
#pragma once

#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_SIZE_MIN ((uint32_t)1 << 20)
#define SEGMENT_SIZE_MAX ((uint32_t)1 << 30)

typedef uint64_t SegNo; /* segment number: LSN divided by the segment size */

/* A power of two from 1 MB to 1 GB. Every other function here requires a valid size. */
bool segment_size_valid(uint64_t size);

SegNo segment_of(Lsn lsn, uint32_t segment_size);      /* the segment that holds byte `lsn` */
Lsn segment_start(SegNo segno, uint32_t segment_size); /* its first byte */
Lsn segment_floor(Lsn lsn, uint32_t segment_size);     /* start of the segment that holds lsn */
uint32_t segment_offset(Lsn lsn, uint32_t segment_size);
/* The last valid segment number of a size: positions beyond would not fit 64 bits. */
SegNo segment_last(uint32_t segment_size);

typedef enum WalCompression {
    WAL_RAW = 0,
    WAL_GZIP,
    WAL_LZ4,
    WAL_ZSTD,
} WalCompression;
#define WAL_COMPRESSION_COUNT 4

/* "", ".gz", ".lz4", ".zst" */
const char *wal_compression_suffix(WalCompression compression);

typedef enum WalFileKind {
    WAL_FILE_SEGMENT,       /* TTTTTTTTXXXXXXXXYYYYYYYY */
    WAL_FILE_HISTORY,       /* TTTTTTTT.history */
    WAL_FILE_BACKUP_HISTORY /* TTTTTTTTXXXXXXXXYYYYYYYY.OOOOOOOO.backup */
} WalFileKind;

/* A name taken apart. For segments: 24 upper-case hexadecimal digits, then the compression's
 * suffix, then ".partial" when `partial`. History files carry a compression only because
 * pg_receivewal writes TTTTTTTT.history.gz; walrx never does. */
typedef struct WalFileName {
    WalFileKind kind;
    WalCompression compression;
    bool partial;
    Timeline timeline;
    uint32_t log;           /* XXXXXXXX */
    uint32_t seg;           /* YYYYYYYY */
    uint32_t backup_offset; /* OOOOOOOO, backup history files only */
} WalFileName;

#define WAL_FILE_NAME_SIZE 64 /* longer than any name this module writes, with its NUL */

/* False when `name` is none of the three kinds (which is no error: a stranger's file). */
bool wal_file_parse(const char *name, WalFileName *ret);

/* False when YYYYYYYY is not below 4 GB / segment_size: a name of another segment size. */
bool wal_file_segno(const WalFileName *file, uint32_t segment_size, SegNo *ret);

/* Each writes a whole name and returns the buffer. */
const char *wal_segment_name(Timeline timeline, SegNo segno, uint32_t segment_size,
                             WalCompression compression, bool partial,
                             char buffer[WAL_FILE_NAME_SIZE]);
const char *wal_history_name(Timeline timeline, char buffer[WAL_FILE_NAME_SIZE]);
