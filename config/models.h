/* models.h - the models of a configuration: from the file's list, or one by its path. */
#ifndef CONFIG_MODELS_H
#define CONFIG_MODELS_H

#include "config/config.h"
#include "config/file.h"

/* Fills config->models from the file and checks that names and aliases are unique and
 * that one model is the default. */
enum status models_read(struct config *config, const struct config_file *file, struct error *err);

/* Makes the model at `path` the only one, named by the last part of the path. */
enum status models_set(struct config *config, const char *path, struct error *err);

#endif
