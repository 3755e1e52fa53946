/* reload.h - the models of a configuration that is read again while the server runs.
 *
 * A thread of its own reads and loads, so that the server can be ended meanwhile. What is
 * wrong with the new configuration is logged, and everything stays as it was. Only models
 * change; for the rest a server has to be started anew, which is logged when it would
 * matter. */
#ifndef CLI_RELOAD_H
#define CLI_RELOAD_H

#include "config/config.h"

struct reload;

struct reload_options {
    struct registry *registry;
    const struct config *running;
    const char *path; /* as for session_load_config() */
    const char *const *flags;
};

/* Has the registry hold the models of a configuration, and only these. */
enum status reload_apply(struct registry *registry, const struct config *config, struct error *err);

/* Borrows all that the options point to. */
enum status reload_start(struct reload **out, const struct reload_options *options,
                         struct error *err);
/* Returns at once; asked again while it works, it works once more. */
void reload_ask(struct reload *reload);
/* False when it still loads a model, which may take long: it goes on then, and nothing that it uses
 * may be freed. NULL is allowed. */
bool reload_stop(struct reload *reload);

#endif
