/* checkpoint.h - the files that a checkpoint consists of (SPEC 7.4). */
#ifndef CORE_MODEL_CHECKPOINT_H
#define CORE_MODEL_CHECKPOINT_H

#include <sys/stat.h>

#include "core/base/file.h"
#include "core/model/config.h"

struct checkpoint {
    struct file_map weights;            /* safetensors */
    struct stat weights_stat;           /* the file's identity */
    struct model_config config;         /* config.found is false for a weight file alone */
    uint8_t config_digest[SHA256_SIZE]; /* of the configuration files read */
};

/* `path` is a weight file, or a directory: there the weights are the first of
 * open_clip_model.safetensors, open_clip_pytorch_model.safetensors, model.safetensors,
 * or else the only *.safetensors, and the configuration that goes with them is beside
 * them. On success the caller file_map_close()s the weights. */
enum status checkpoint_read(struct checkpoint *out, const char *path, struct error *err);

#endif
