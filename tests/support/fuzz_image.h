/* fuzz_image.h - what the fuzz targets of all image formats do with their input. */
#ifndef TESTS_SUPPORT_FUZZ_IMAGE_H
#define TESTS_SUPPORT_FUZZ_IMAGE_H

#include "core/image/image.h"

/* Decodes the file if it is of that format, within small limits, and preprocesses the
 * image in every way; aborts when a contract is broken. */
void fuzz_image(struct bytes file, enum image_format format);

#endif
