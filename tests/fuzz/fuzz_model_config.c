/* The three configuration files of checkpoints; each input goes to all three readers. */
#include "core/model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes json = {data, size};
    struct model_config config;
    model_config_init(&config);
    model_config_parse_open_clip(&config, json, NULL);
    model_config_init(&config);
    if (model_config_parse_hf(&config, json, NULL)) return 0;
    model_config_parse_preprocessor(&config, json, NULL);
    return 0;
}
