/* SPDX-License-Identifier: PostgreSQL
 *
 * See library.h. Loading a library that is loaded already gives the same one, so nothing is
 * remembered here; it stays for the life of the process.
 */
#include "walrx/os/library.h"

#include "walrx/os/log.h"

#include <dlfcn.h>
#include <stdlib.h>

void *library_function(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void *found = handle == NULL ? NULL : dlsym(handle, name);
    if (found != NULL)
        return found;
    const char *reason = dlerror();
    Error error;
    error_set(&error, ERROR_OPERATOR, "could not load library \"%s\": %s", library,
              reason != NULL ? reason : "it is another version");
    error_hint(&error, "Install the package that this build of walrx was made for.");
    log_error(LOG_ERROR, NULL, &error);
    exit(1);
}
