/* model_path.h - where the model is that somebody names: a path as it is, or a name of the
 * catalogue or of a hub in the cache. Nothing is ever downloaded here. */
#ifndef CLI_MODEL_PATH_H
#define CLI_MODEL_PATH_H

#include "config/config.h"

/* Puts the folder in the cache in the place of each model's path that is no path but the name
 * of a model that is there. */
enum status model_path_find(struct config *config, struct error *err);

/* STATUS_NOT_FOUND, with what to do about it, for a path that is no path but the name of a
 * model which is not there. */
enum status model_path_check(const char *path, struct error *err);

/* For a command without a configuration: the folder, or the path as it is, newly allocated.
 * Fails as model_path_check(). */
enum status model_path_resolve(char **out, const char *path, struct error *err);

#endif
