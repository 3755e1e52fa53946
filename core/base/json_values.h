/* json_values.h - how much a JSON text will take, before it is parsed.
 *
 * A parsed value costs up to some hundred bytes where its text may be two ("[]"), so that a bound
 * on the text alone bounds nothing. */
#ifndef CORE_BASE_JSON_VALUES_H
#define CORE_BASE_JSON_VALUES_H

#include "core/base/bytes.h"

/* Whether there are at most that many commas and opening brackets, those in strings included. A
 * text has one value more at most. */
bool json_values_within(struct bytes text, size_t most);

#endif
