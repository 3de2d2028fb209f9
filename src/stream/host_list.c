/* SPDX-License-Identifier: PostgreSQL
 *
 * See host_list.h.
 */
#include "host_list.h"

#include <string.h>

size_t host_list_count(const char *list)
{
    size_t count = 1;
    for (const char *at = list; at != NULL && *at != '\0'; at++) {
        if (*at == ',')
            count++;
    }
    return count;
}

const char *host_list_rest(const char *list, size_t index)
{
    const char *at = list;
    if (list == NULL || strchr(list, ',') == NULL)
        return list;
    for (size_t i = 0; i <= index && at != NULL; i++) {
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
    return at;
}

static const char *find_entry(const char *list, size_t index)
{
    const char *entry = list != NULL ? list : "";
    if (index > 0 && strchr(entry, ',') != NULL)
        entry = host_list_rest(entry, index - 1);
    return entry;
}

bool host_list_is(const char *list, size_t index, const char *text)
{
    const char *entry = find_entry(list, index);
    if (entry == NULL)
        return false;
    size_t length = strcspn(entry, ",");
    return strlen(text) == length && memcmp(entry, text, length) == 0;
}

void host_list_entry(const char *list, size_t index, char *ret)
{
    const char *entry = find_entry(list, index);
    size_t length = entry != NULL ? strcspn(entry, ",") : 0;
    if (entry != NULL)
        memcpy(ret, entry, length);
    ret[length] = '\0';
}
