#include "tests/support/store_filters.h"

const struct store_filter_item store_filters_items[] = {
    {"a", "{\"n\":1}"},
    {"b", "{\"n\":1.0}"},
    {"c", "{\"n\":\"1\"}"},
    {"d", "{\"n\":true}"},
    {"e", "{\"n\":null}"},
    {"f", "{}"},
    {"g", "{\"n\":[1,\"x\"]}"},
    {"h", "{\"n\":{\"m\":1}}"},
    {"i", "{\"n\":2.5}"},
    {"j", "{\"n\":\"x\"}"},
    {"k", "{\"n\":[]}"},
    {"l", "{\"n\":false}"},
    {"m", "{\"n\":[true,\"1\"]}"},
    {"n", "{\"n\":-3}"},
    {"o", "{\"n\":\"\\u00e9\"}"},
    {"p", "{\"n\":{\"m\":[\"x\",2]}}"},
    {"q", "{\"n\":\"\"}"},
    {"r", "{\"n\":[[1]]}"},
    {"s", "{\"n\":0}"},
    {"t", "{\"n\":\"true\"}"},
    {"u", "{\"n.m\":1}"},
    {"v", "{\"n\":\"X\"}"},
};
const size_t store_filters_items_count = sizeof(store_filters_items) / sizeof(*store_filters_items);

static const struct filter_value one[] = {{.kind = FILTER_NUMBER, .number = 1}};
static const struct filter_value zero[] = {{.kind = FILTER_NUMBER, .number = 0}};
static const struct filter_value text_one[] = {
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"1", 1}}};
static const struct filter_value yes[] = {{.kind = FILTER_BOOL, .boolean = true}};
static const struct filter_value no[] = {{.kind = FILTER_BOOL, .boolean = false}};
static const struct filter_value text_true[] = {
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"true", 4}}};
static const struct filter_value empty[] = {
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"", 0}}};
static const struct filter_value accented[] = {
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"\xC3\xA9", 2}}};
static const struct filter_value mixed[] = {
    {.kind = FILTER_NUMBER, .number = 1},
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"x", 1}},
    {.kind = FILTER_BOOL, .boolean = false},
};

static struct filter in_one[] = {
    {.kind = FILTER_IN, .field = "n", .values = one, .count = 1},
};
static struct filter in_one_and_more[] = {
    {.kind = FILTER_IN, .field = "n", .values = one, .count = 1},
    {.kind = FILTER_RANGE, .field = "n", .low = {true, true, {.kind = FILTER_NUMBER, .number = 0}}},
    {.kind = FILTER_EXISTS, .field = "n"},
};
static struct filter texts_or_nested[] = {
    {.kind = FILTER_IN, .field = "n", .values = text_one, .count = 1},
    {.kind = FILTER_EXISTS, .field = "n.m"},
};
static struct filter not_exists[] = {
    {.kind = FILTER_EXISTS, .field = "n"},
};
static struct filter not_range[] = {
    {.kind = FILTER_RANGE,
     .field = "n",
     .low = {true, true, {.kind = FILTER_NUMBER, .number = -100}}},
};
static struct filter not_negative[] = {
    {.kind = FILTER_RANGE,
     .field = "n",
     .high = {true, false, {.kind = FILTER_NUMBER, .number = 0}}},
};
static struct filter exists_but_not_one[] = {
    {.kind = FILTER_EXISTS, .field = "n"},
    {.kind = FILTER_NOT, .children = in_one, .count = 1},
    {.kind = FILTER_NOT, .children = not_range, .count = 1},
};

static struct filter one_in_range[] = {
    {.kind = FILTER_IN, .field = "n", .values = mixed, .count = 3},
    {.kind = FILTER_RANGE,
     .field = "n",
     .high = {true, true, {.kind = FILTER_NUMBER, .number = 1}}},
    {.kind = FILTER_NOT, .children = not_negative, .count = 1},
};
static struct filter one_or_above[] = {
    {.kind = FILTER_IN, .field = "n", .values = mixed, .count = 3},
    {.kind = FILTER_RANGE, .field = "n", .low = {true, true, {.kind = FILTER_NUMBER, .number = 2}}},
};

const struct store_filter store_filters[] = {
    {"in 1", {.kind = FILTER_IN, .field = "n", .values = one, .count = 1}, " a b g"},
    {"in 0", {.kind = FILTER_IN, .field = "n", .values = zero, .count = 1}, " s"},
    {"in \"1\"", {.kind = FILTER_IN, .field = "n", .values = text_one, .count = 1}, " c m"},
    {"in true", {.kind = FILTER_IN, .field = "n", .values = yes, .count = 1}, " d m"},
    {"in false", {.kind = FILTER_IN, .field = "n", .values = no, .count = 1}, " l"},
    {"in \"true\"", {.kind = FILTER_IN, .field = "n", .values = text_true, .count = 1}, " t"},
    {"in \"\"", {.kind = FILTER_IN, .field = "n", .values = empty, .count = 1}, " q"},
    {"in \"\xC3\xA9\"", {.kind = FILTER_IN, .field = "n", .values = accented, .count = 1}, " o"},
    {"in mixed", {.kind = FILTER_IN, .field = "n", .values = mixed, .count = 3}, " a b g j l"},
    {"in nothing", {.kind = FILTER_IN, .field = "n", .values = mixed, .count = 0}, ""},
    {"nested in mixed", {.kind = FILTER_IN, .field = "n.m", .values = mixed, .count = 3}, " h p"},
    {"in a field that nobody has",
     {.kind = FILTER_IN, .field = "it's", .values = one, .count = 1},
     ""},
    {"1 to 2.5",
     {.kind = FILTER_RANGE,
      .field = "n",
      .low = {true, true, {.kind = FILTER_NUMBER, .number = 1}},
      .high = {true, true, {.kind = FILTER_NUMBER, .number = 2.5}}},
     " a b i"},
    {"between 1 and 2.5",
     {.kind = FILTER_RANGE,
      .field = "n",
      .low = {true, false, {.kind = FILTER_NUMBER, .number = 1}},
      .high = {true, false, {.kind = FILTER_NUMBER, .number = 2.5}}},
     ""},
    {"below 1",
     {.kind = FILTER_RANGE,
      .field = "n",
      .high = {true, false, {.kind = FILTER_NUMBER, .number = 1}}},
     " n s"},
    {"nested below 2",
     {.kind = FILTER_RANGE,
      .field = "n.m",
      .high = {true, false, {.kind = FILTER_NUMBER, .number = 2}}},
     " h"},
    {"\"1\" to \"x\", by bytes",
     {.kind = FILTER_RANGE,
      .field = "n",
      .low = {true, true, {.kind = FILTER_TEXT, .text = {(const uint8_t *)"1", 1}}},
      .high = {true, true, {.kind = FILTER_TEXT, .text = {(const uint8_t *)"x", 1}}}},
     " c j t v"},
    {"above \"x\"",
     {.kind = FILTER_RANGE,
      .field = "n",
      .low = {true, false, {.kind = FILTER_TEXT, .text = {(const uint8_t *)"x", 1}}}},
     " o"},
    {"exists", {.kind = FILTER_EXISTS, .field = "n"}, " a b c d g h i j k l m n o p q r s t v"},
    {"nested exists", {.kind = FILTER_EXISTS, .field = "n.m"}, " h p"},
    {"not in 1",
     {.kind = FILTER_NOT, .children = in_one, .count = 1},
     " c d e f h i j k l m n o p q r s t u v"},
    {"not exists", {.kind = FILTER_NOT, .children = not_exists, .count = 1}, " e f u"},
    {"not in a range",
     {.kind = FILTER_NOT, .children = not_range, .count = 1},
     " c d e f g h j k l m o p q r t u v"},
    {"and nothing", {.kind = FILTER_AND}, " a b c d e f g h i j k l m n o p q r s t u v"},
    {"or nothing", {.kind = FILTER_OR}, ""},
    {"and", {.kind = FILTER_AND, .children = in_one_and_more, .count = 3}, " a b"},
    {"and of ranges", {.kind = FILTER_AND, .children = one_in_range, .count = 3}, " a b"},
    {"or of ranges", {.kind = FILTER_OR, .children = one_or_above, .count = 2}, " a b g i j l"},
    {"or", {.kind = FILTER_OR, .children = texts_or_nested, .count = 2}, " c h m p"},
    {"and with not",
     {.kind = FILTER_AND, .children = exists_but_not_one, .count = 3},
     " c d h j k l m o p q r t v"},
};
const size_t store_filters_count = sizeof(store_filters) / sizeof(*store_filters);
