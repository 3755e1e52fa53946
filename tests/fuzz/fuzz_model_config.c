/* The configuration files of checkpoints; each input goes to all readers. */
#include "core/checkpoint/config_hf.h"
#include "core/checkpoint/config_open_clip.h"
#include "core/checkpoint/config_preprocessor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes json = {data, size};
    struct model_config config;
    config_init(&config);
    config_open_clip_parse(&config, json, NULL);
    config_init(&config);
    if (config_hf_parse(&config, json, NULL)) return 0;
    config_preprocessor_parse(&config, json, NULL);
    config_processor_parse(&config, json, NULL);
    return 0;
}
