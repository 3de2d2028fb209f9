/* SPDX-License-Identifier: PostgreSQL
 *
 * Text as an LSN: what is accepted survives formatting and reading again, and is the sum of its
 * parts.
 */
#include "fuzz.h"
#include "walrx/proto/lsn.h"

#define TEXT_SIZE 64
#define UNTOUCHED UINT64_C(0x5A5A5A5A5A5A5A5A)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    char again[LSN_TEXT_SIZE];
    Lsn lsn = UNTOUCHED;
    Lsn back;
    Lsn sum = UNTOUCHED;

    fuzz_text(data, size, text, sizeof(text));
    if (!lsn_parse(text, &lsn)) {
        require(lsn == UNTOUCHED);
        return 0;
    }
    require(strlen(text) < LSN_TEXT_SIZE);
    require(lsn_parse(lsn_format(lsn, again), &back) && back == lsn);
    require(strlen(again) <= strlen(text));
    require(lsn_add(lsn, UINT64_MAX - lsn, &sum) && sum == UINT64_MAX);
    require(lsn == UINT64_MAX || lsn_add(lsn, 1, &sum));
    sum = UNTOUCHED;
    require(lsn == 0 || !lsn_add(lsn, UINT64_MAX - lsn + 1, &sum));
    require(lsn == 0 || sum == UNTOUCHED);
    return 0;
}
