/* SPDX-License-Identifier: PostgreSQL
 *
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720 appendix B.4 has test values), as
 * WAL records carry it. Pure; picks SSE4.2 where the processor has it, a table elsewhere.
 *
 * crc = CRC32C_INIT; crc = crc32c_update(crc, ...); value = crc32c_final(crc).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CRC32C_INIT 0xFFFFFFFFu

uint32_t crc32c_update(uint32_t crc, const void *data, size_t length);
/* The portable one, always the table: the tests hold the two against each other. */
uint32_t crc32c_update_table(uint32_t crc, const void *data, size_t length);
uint32_t crc32c_final(uint32_t crc);
