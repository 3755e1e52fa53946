#include "core/base/json_values.h"

bool json_values_within(struct bytes text, size_t most) {
    size_t values = 0;
    for (size_t i = 0; i < text.size; i++)
        values += text.data[i] == ',' || text.data[i] == '[' || text.data[i] == '{';
    return values <= most;
}
