#include "tests/support/photo.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
/* jpeglib.h needs stdio.h before it. */
#include <jpeglib.h>

enum { QUALITY = 90, OCTAVES = 8, EDGE = 97 };

/* Uniform in [-1, 1), by position. */
static float noise_at(uint32_t x, uint32_t y, uint32_t seed) {
    uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ seed * 0xc2b2ae3du;
    h = (h ^ h >> 15) * 0x2c1b3c6du;
    h = (h ^ h >> 12) * 0x297a2d39u;
    return (float)(h >> 8) / 8388608.0f - 1.0f;
}

/* Between the points of a grid of `step` pixels. */
static float smooth_noise(uint32_t x, uint32_t y, uint32_t step, uint32_t seed) {
    uint32_t left = x / step, top = y / step;
    float u = (float)(x % step) / (float)step, v = (float)(y % step) / (float)step;
    float upper = noise_at(left, top, seed) * (1 - u) + noise_at(left + 1, top, seed) * u;
    float lower = noise_at(left, top + 1, seed) * (1 - u) + noise_at(left + 1, top + 1, seed) * u;
    return upper * (1 - v) + lower * v;
}

static void paint_row(uint8_t *row, uint32_t width, uint32_t y) {
    for (uint32_t x = 0; x < width; x++) {
        float grey = ((x + y / 3) / EDGE + (y + x / 5) / EDGE) % 2 ? 150.0f : 100.0f;
        for (uint32_t octave = 0; octave < OCTAVES; octave++)
            grey += smooth_noise(x, y, 1u << octave, octave) * (7 + 4 * (float)octave);
        for (uint32_t c = 0; c < 3; c++) {
            float value = grey + smooth_noise(x, y, 64, 100 + c) * 40;
            row[x * 3 + c] = (uint8_t)fminf(fmaxf(value, 0), 255);
        }
    }
}

struct buffer photo_make(uint32_t width, uint32_t height) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors; /* its default is to exit, which will do here */
    unsigned char *data = NULL;
    unsigned long size = 0;
    uint8_t *row = malloc((size_t)width * 3);
    if (!row) abort();
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, QUALITY, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (uint32_t y = 0; y < height; y++) {
        paint_row(row, width, y);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    struct buffer file;
    buffer_init(&file, size);
    if (buffer_append(&file, data, size, NULL)) abort();
    free(data);
    return file;
}
