/* session.h - the configuration of a subcommand, and a model opened by it. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "config/config.h"

/* Loads the configuration: from `path`, or else from $CLIPD_CONFIG, or else from
 * clipd/clipd.yaml in the user's configuration folder ($XDG_CONFIG_HOME or ~/.config)
 * if it is there; and from environment and flags. Complains and returns an exit code
 * unless it is EX_OK: EX_NOINPUT when a file that was named is not there, else
 * EX_CONFIG. */
int session_load_config(struct config *out, const char *path, const char *const *flags);
/* The same, without a word. */
enum status session_read_config(struct config *out, const char *path, const char *const *flags,
                                struct error *err);

/* The model of a configuration that answers when none is named. Complains and returns
 * NULL when there is no model. */
const struct engine_options *session_default_model(const struct config *config);

/* Opens the store of collections that is configured, which must be one. */
enum status session_open_store(struct collections **out, const struct config *config,
                               struct registry *registry, struct error *err);

/* The options --model, --config and --store of a subcommand; NULL when not given. */
struct session_options {
    const char *model, *config, *store;
    bool no_model;   /* the command needs none */
    bool with_store; /* the command needs one */
};

/* Loads the configuration alone; exit codes as session_load_config(). */
int session_load(struct config *out, const struct session_options *options);

struct session {
    struct config config;
    struct registry *registry;
    struct engine *engine;           /* the default model; NULL with no_model */
    struct collections *collections; /* NULL before session_open_collections() */
};

/* Complains and returns an exit code unless it is EX_OK; there is nothing to close then. */
int session_open(struct session *out, const struct session_options *options);
/* Opens the store that is configured, by default the one in the user's data directory.
 * Complains and returns an exit code unless it is EX_OK. */
int session_open_collections(struct session *session);
void session_close(struct session *session);

#endif
