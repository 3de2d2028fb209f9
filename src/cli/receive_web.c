/* SPDX-License-Identifier: PostgreSQL
 *
 * From the options of --http to what serves it.
 */
#include "receive_internal.h"

bool receive_web_open(const Options *options, Observer *observer, const Telemetry *telemetry,
                      Web **ret, Error *err)
{
    WebOptions web = {
        .observer = observer,
        .telemetry = telemetry,
        .token_file = options->http_token_file,
        .certificate = options->http_cert,
        .key = options->http_key,
        .max_lag_ms = options->http_max_lag_ms,
    };
    if (options->http == NULL) {
        *ret = NULL;
        return true;
    }
    return http_address_parse(options->http, &web.address, err) && web_open(&web, ret, err);
}
