/* transfer_failure.h - what a request that did not work means: for another attempt, and for
 * people. */
#ifndef HUB_TRANSFER_FAILURE_H
#define HUB_TRANSFER_FAILURE_H

#include "hub/settings.h"

/* A status that another attempt may not meet. */
bool transfer_is_busy(long code);
/* The same of what libcurl says (a CURLcode). */
bool transfer_is_passing(int result);

/* Reports a status that is final; `host` has answered with it when asked for `name`. */
enum status transfer_refuse(const char *name, const char *host, long code,
                            const struct hub_settings *settings, struct error *err);

#endif
