/* configs.h - configurations of models as their parsers read them. What does not hold fails the
 * test. */
#ifndef TESTS_SUPPORT_CONFIGS_H
#define TESTS_SUPPORT_CONFIGS_H

#include "core/checkpoint/config.h"

typedef enum status configs_parse_fn(struct model_config *out, struct bytes json,
                                     struct error *err);

struct model_config configs_parse(configs_parse_fn *parse, const char *json);
/* It must fail so, with a message that has `message` in it. */
void configs_refuse(configs_parse_fn *parse, const char *json, enum status status,
                    const char *message);

#endif
