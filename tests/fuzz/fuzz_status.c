/* SPDX-License-Identifier: PostgreSQL
 *
 * Arbitrary bytes as a state file. What was accepted is text that ends and words that are known; it
 * can be written, and reads back as the same; whatever it says, `walrx check` makes one line of it,
 * with one bar at most. A refusal is of the archive's class.
 */
#include "fuzz.h"
#include "walrx/observe/check.h"
#include "walrx/observe/status_json.h"

static void check(const Snapshot *snapshot)
{
    require(strnlen(snapshot->version, sizeof(snapshot->version)) < sizeof(snapshot->version));
    require(strnlen(snapshot->directory, sizeof(snapshot->directory)) <
            sizeof(snapshot->directory));
    require(strnlen(snapshot->session.conninfo, sizeof(snapshot->session.conninfo)) <
            sizeof(snapshot->session.conninfo));
    require(snapshot->state <= RECEIVER_STOPPED && snapshot->held_by < HOLD_CAUSE_COUNT);
    require(snapshot->verify <= VERIFY_STOP && snapshot->failure.error.class <= ERROR_STOPPED);
}

static void judge(const Snapshot *snapshot, bool running, bool stale)
{
    static Look look;
    static CheckReport report;
    const CheckLimits limits = {0};
    look = (Look){.running = running,
                  .has_state = true,
                  .is_its_own = running,
                  .stale = stale,
                  .age_ns = snapshot->state_interval_ns,
                  .snapshot = *snapshot};
    const CheckInput input = {
        .directory = snapshot->directory, .look = &look, .warning = &limits, .critical = &limits};
    check_judge(&input, &report);
    const char *bar = strchr(report.line, '|');
    require(strpbrk(report.line, "\n\r\x1b") == NULL);
    require(report.status != CHECK_UNKNOWN && (bar != NULL) == running);
    require(bar == NULL || strchr(bar + 1, '|') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Snapshot first;
    static Snapshot second;
    Error error;
    size_t length[2];
    if (!status_json_parse((const char *)data, size, &first, &error)) {
        require(error.class == ERROR_ARCHIVE);
        return 0;
    }
    check(&first);
    judge(&first, false, false);
    judge(&first, true, false);
    judge(&first, true, true);
    char *text = status_json_text(&first, &length[0]);
    require(text != NULL && status_json_parse(text, length[0], &second, &error));
    char *again = status_json_text(&second, &length[1]);
    require(again != NULL && length[0] == length[1] && memcmp(text, again, length[0]) == 0);
    free(text);
    free(again);
    return 0;
}
