/* settings.h - which hub, as whom, and where its files are kept: what Python's
 * huggingface_hub takes from the environment, by the same names and with the same defaults,
 * so that both find the same files. */
#ifndef HUB_SETTINGS_H
#define HUB_SETTINGS_H

#include "core/base/bytes.h"

struct hub_settings {
    char *endpoint; /* HF_ENDPOINT, without a slash at the end */
    char *token;    /* HF_TOKEN, or what a login has left in a file; NULL: nobody in particular */
    char *cache;    /* HF_HUB_CACHE, else hub/ below HF_HOME */
    bool offline;   /* HF_HUB_OFFLINE: nothing may be asked */
};

/* The environment is a NULL-terminated list such as `environ`. STATUS_INVALID names the
 * variable at fault; there is nothing to free then. */
enum status settings_read(struct hub_settings *out, const char *const *environment,
                          struct error *err);
void settings_free(struct hub_settings *settings);

#endif
