/* photo.h - photographs that are made, for tests and benches of large JPEGs. */
#ifndef TESTS_SUPPORT_PHOTO_H
#define TESTS_SUPPORT_PHOTO_H

#include "core/base/bytes.h"

/* A JPEG file of quality 90 with halved chroma (4:2:0), some 2.5 bits a pixel: noise whose
 * strength falls with its frequency as that of photographs does, and edges. The same in
 * every run. The caller releases the buffer with buffer_free(). Aborts without memory. */
struct buffer photo_make(uint32_t width, uint32_t height);

#endif
