/* SPDX-License-Identifier: PostgreSQL
 *
 * See walgen.h. The CRC of a record runs over its body first and its header last, so the body's
 * part is computed once for each template and only twenty bytes of header are added for each page.
 */
#include "walgen.h"

#include "walrx/base/cursor.h"
#include "walrx/proto/crc32c.h"
#include "walrx/proto/segment.h"
#include "walrx/proto/walpage.h"
#include "walrx/proto/walscan.h"

#include <stdlib.h>
#include <string.h>

#define TEMPLATE_PAGES 512
#define MAGIC_15 0xD110
#define RECORD_INFO 0x20 /* XLOG_NOOP */
#define DATA_LONG 254    /* XLR_BLOCK_ID_DATA_LONG: main data with four bytes of length */
#define DATA_HEADER 5

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Rows as a heap would hold them: small changing numbers, repeated padding, some noise. */
static void fill_body(uint8_t *body, size_t length, uint64_t *state)
{
    size_t at = 0;
    while (at < length) {
        uint8_t row[96];
        memset(row, ' ', sizeof(row));
        for (size_t i = 0; i < 24; i++)
            row[i] = (uint8_t)(i < 14 ? next_random(state) : i);
        size_t count = length - at < sizeof(row) ? length - at : sizeof(row);
        memcpy(body + at, row, count);
        at += count;
    }
}

/* The record's only part: main data that fills the page. */
static void write_data_header(uint8_t *body, size_t page_header)
{
    size_t length = WAL_PAGE_SIZE - page_header - WAL_RECORD_HEADER_SIZE - DATA_HEADER;
    Writer writer = writer_over(body, DATA_HEADER);
    write_u8(&writer, DATA_LONG);
    write_u32_le(&writer, (uint32_t)length);
}

static uint32_t body_crc(const uint8_t *page, size_t page_header)
{
    uint8_t header[DATA_HEADER];
    size_t at = page_header + WAL_RECORD_HEADER_SIZE + DATA_HEADER;
    write_data_header(header, page_header);
    return crc32c_update(crc32c_update(CRC32C_INIT, header, sizeof(header)), page + at,
                         WAL_PAGE_SIZE - at);
}

bool walgen_init(WalGen *gen, uint64_t system_identifier, Timeline timeline, uint32_t segment_size)
{
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    *gen = (WalGen){
        .system_identifier = system_identifier, .timeline = timeline, .segment_size = segment_size};
    gen->templates = malloc((size_t)TEMPLATE_PAGES * WAL_PAGE_SIZE);
    gen->body_crcs = calloc(TEMPLATE_PAGES, sizeof(gen->body_crcs[0]));
    gen->body_crcs_long = calloc(TEMPLATE_PAGES, sizeof(gen->body_crcs_long[0]));
    if (gen->templates == NULL || gen->body_crcs == NULL || gen->body_crcs_long == NULL) {
        walgen_free(gen);
        return false;
    }
    for (size_t i = 0; i < TEMPLATE_PAGES; i++) {
        uint8_t *page = gen->templates + i * WAL_PAGE_SIZE;
        fill_body(page, WAL_PAGE_SIZE, &state);
        gen->body_crcs[i] = body_crc(page, WAL_PAGE_SHORT_HEADER);
        gen->body_crcs_long[i] = body_crc(page, WAL_PAGE_LONG_HEADER);
    }
    return true;
}

void walgen_free(WalGen *gen)
{
    free(gen->templates);
    free(gen->body_crcs);
    free(gen->body_crcs_long);
    *gen = (WalGen){.templates = NULL};
}

static bool starts_segment(const WalGen *gen, Lsn lsn)
{
    return segment_offset(lsn, gen->segment_size) == 0;
}

static Lsn record_of_page(const WalGen *gen, Lsn page)
{
    return page + (starts_segment(gen, page) ? WAL_PAGE_LONG_HEADER : WAL_PAGE_SHORT_HEADER);
}

static void make_page(const WalGen *gen, Lsn lsn, uint8_t *out)
{
    size_t which = (size_t)(lsn / WAL_PAGE_SIZE % TEMPLATE_PAGES);
    bool longer = starts_segment(gen, lsn);
    WalPageHeader header = {
        .magic = MAGIC_15,
        .info = longer ? WAL_PAGE_LONG : 0,
        .timeline = gen->timeline,
        .address = lsn,
        .system_identifier = gen->system_identifier,
        .segment_size = gen->segment_size,
        .block_size = WAL_PAGE_SIZE,
    };
    memcpy(out, gen->templates + which * WAL_PAGE_SIZE, WAL_PAGE_SIZE);
    size_t header_size = wal_page_encode(&header, out, WAL_PAGE_SIZE);
    uint8_t *record = out + header_size;
    write_data_header(record + WAL_RECORD_HEADER_SIZE, header_size);
    Writer writer = writer_over(record, WAL_RECORD_HEADER_SIZE);
    write_u32_le(&writer, (uint32_t)(WAL_PAGE_SIZE - header_size));
    write_u32_le(&writer, 0); /* no transaction */
    write_u64_le(&writer, record_of_page(gen, lsn - WAL_PAGE_SIZE));
    write_u8(&writer, RECORD_INFO);
    write_u8(&writer, 0); /* resource manager XLOG */
    write_u16_le(&writer, 0);
    uint32_t crc = (longer ? gen->body_crcs_long : gen->body_crcs)[which];
    write_u32_le(&writer, crc32c_final(crc32c_update(crc, record, WAL_RECORD_HEADER_SIZE - 4)));
}

void walgen_pages(const WalGen *gen, Lsn lsn, uint8_t *out, size_t length)
{
    for (size_t at = 0; at < length; at += WAL_PAGE_SIZE)
        make_page(gen, lsn + at, out + at);
}
