/* openapi_text.h - openapi.yaml, compiled in: the Makefile makes the source. */
#ifndef API_OPENAPI_TEXT_H
#define API_OPENAPI_TEXT_H

#include <stddef.h>

extern const unsigned char openapi_text[];
extern const size_t openapi_text_size;

#endif
