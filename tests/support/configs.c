#include "tests/support/configs.h"

#include <check.h>
#include <string.h>

struct model_config configs_parse(configs_parse_fn *parse, const char *json) {
    struct model_config config;
    struct error err = ERROR_NONE;
    config_init(&config);
    ck_assert_msg(parse(&config, bytes_of(json), &err) == STATUS_OK, "%s: %s", json, err.message);
    return config;
}

void configs_refuse(configs_parse_fn *parse, const char *json, enum status status,
                    const char *message) {
    struct model_config config;
    struct error err = ERROR_NONE;
    config_init(&config);
    ck_assert_int_eq(parse(&config, bytes_of(json), &err), status);
    ck_assert_msg(strstr(err.message, message), "%s: %s", json, err.message);
}
